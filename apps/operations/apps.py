"""Health pages and housekeeping."""

from django.apps import AppConfig


class OperationsConfig(AppConfig):
    """Plugs the app into the router."""

    name = "apps.operations"
    label = "operations"
    verbose_name = "Operations"
