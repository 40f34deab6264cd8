"""The router: decides which instance answers, carries the answers, and explains itself."""

from django.apps import AppConfig


class RouterConfig(AppConfig):
    """The host that the other apps plug into."""

    name = "apps.router"
    label = "router"

    def ready(self) -> None:
        """Register the system checks."""
        from apps.router import checks  # noqa: F401
