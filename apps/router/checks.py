"""System checks: a port that nobody fills."""

from typing import Any

from django.core.checks import CheckMessage, Warning, register

from apps.router import ports


@register()
def check_ports(**_: Any) -> list[CheckMessage]:
    """Name each port that no installed app has filled."""
    return [
        Warning(
            f"No app fills the port '{port.name}': {port.without}",
            hint=f"Install {port.usual_app} or register another object in AppConfig.ready().",
            id="router.W001",
        )
        for port in ports.ALL
        if not port.is_filled
    ]
