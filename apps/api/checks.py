"""System checks: limits that make no sense."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register


@register()
def check_settings(**_: Any) -> list[CheckMessage]:
    """Name what can never be meant."""
    found: list[CheckMessage] = []
    if settings.API_REQUESTS_PER_MINUTE < 1:
        words = "API_REQUESTS_PER_MINUTE must be at least 1."
        found.append(Error(words, id="api.E001"))
    return found
