"""Which web pages of other origins may read the API's answers. They bear a key, never a cookie."""

from typing import Final

from django.conf import settings

from apps.api.exchange import Exchange, Headers

ANY: Final = "*"
_EXPOSED: Final = ", ".join(
    [
        "idempotent-replayed",
        "request-id",
        "retry-after",
        "x-motherfluxer-attempts",
        "x-motherfluxer-decision",
        "x-motherfluxer-instance",
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
        "x-request-id",
    ]
).encode("ascii")


def cors_headers(exchange: Exchange) -> Headers:
    """Return what lets the page that asks read the answer; nothing for most."""
    allowed = settings.API_CORS_ORIGINS
    if not allowed:
        return []
    if ANY in allowed:
        return [(b"access-control-allow-origin", b"*"), _exposed()]
    headers = [(b"vary", b"origin")]
    origin = exchange.header(b"origin")
    if origin in allowed:
        name = origin.encode("ascii")
        headers += [(b"access-control-allow-origin", name), _exposed()]
    return headers


def preflight_headers(exchange: Exchange, methods: str) -> Headers:
    """Return what a page may send, for the browser that asks before it does."""
    is_preflight = exchange.header(b"access-control-request-method") is not None
    if not is_preflight or not settings.API_CORS_ORIGINS:
        return []
    return [
        (b"access-control-allow-methods", methods.encode("ascii")),
        # The star stands for every name but this one.
        (b"access-control-allow-headers", b"authorization, *"),
        (b"access-control-max-age", b"86400"),
    ]


def _exposed() -> tuple[bytes, bytes]:
    return (b"access-control-expose-headers", _EXPOSED)
