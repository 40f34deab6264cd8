"""Visitors: who they are and what is left for them today."""

from django.apps import AppConfig


class DemoConfig(AppConfig):
    """Plugs the app into the router."""

    name = "apps.demo"
    label = "demo"
