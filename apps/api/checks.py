"""System checks: limits and origins that make no sense."""

import re
from typing import Any, Final

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from apps.api.cors import ANY

_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#@*,\s]+", re.ASCII)


@register()
def check_settings(**_: Any) -> list[CheckMessage]:
    """Name what can never be meant."""
    found: list[CheckMessage] = []
    if settings.API_REQUESTS_PER_MINUTE < 1:
        words = "API_REQUESTS_PER_MINUTE must be at least 1."
        found.append(Error(words, id="api.E001"))
    for origin in settings.API_CORS_ORIGINS:
        if origin != ANY and not _ORIGIN.fullmatch(origin):
            words = f"API_CORS_ORIGINS holds {origin!r}, which no browser sends as its origin."
            hint = "An origin is like https://example.org or http://localhost:3000; * means all."
            found.append(Error(words, hint=hint, id="api.E002"))
    return found
