"""The OpenAI-compatible API."""

from django.apps import AppConfig


class ApiConfig(AppConfig):
    """Plugs the app into the router."""

    name = "apps.api"
    label = "api"

    def ready(self) -> None:
        """Register the system checks."""
        from apps.api import checks  # noqa: F401
