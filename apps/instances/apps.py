"""Operators' credentials and the record of known instances."""

from django.apps import AppConfig


class InstancesConfig(AppConfig):
    """Plugs the app into the router."""

    name = "apps.instances"
    label = "instances"
