"""Visitors: who they are and what is left for them today."""

from django.apps import AppConfig


class DemoConfig(AppConfig):
    """Plugs the app into the router."""

    name = "apps.demo"
    label = "demo"

    def ready(self) -> None:
        """Fill the router's port."""
        from apps.demo.gate import CookieVisitorGate
        from apps.router import ports

        ports.visitor_gate.register(CookieVisitorGate())
