"""The OpenAI-compatible API."""

from django.apps import AppConfig


class ApiConfig(AppConfig):
    """Plugs the app into the router."""

    name = "apps.api"
    label = "api"

    def ready(self) -> None:
        """Register the system checks, and that the app goes on keeping named requests' answers."""
        from apps.api import checks  # noqa: F401
        from apps.api.jobs import ApiKeeper
        from apps.router import ports

        ports.answer_keepers.register(self.label, ApiKeeper())
