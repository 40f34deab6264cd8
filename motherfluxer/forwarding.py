"""Notices, once a process, that somebody forwards requests whom `TRUSTED_PROXIES` does not name."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

logger = logging.getLogger(__name__)

Application = Callable[[Any, Any, Any], Awaitable[None]]

_FORWARDED_FOR: Final = b"x-forwarded-for"
_TO_DO: Final = (
    "If this peer is your proxy, name it in TRUSTED_PROXIES: till then all who come by it have its"
    " address and share one limit, and what came by https counts as plain http. Else somebody made"
    " the header up, and nothing is to be done."
)


def with_proxies_watched(application: Application, trusted: Sequence[str]) -> Application:
    """Warn of the first header of a peer that the server does not believe.

    It has to stand outside of the server's own layer, which puts the visitor in the peer's place.
    Nobody can know whether the peer is a proxy: every client may send such a header.
    """
    proxies = ProxyHeadersMiddleware(application, list(trusted)).trusted_hosts
    has_warned = False

    async def call(scope: Any, receive: Any, send: Any) -> None:
        nonlocal has_warned
        peer = _forwarding_peer(scope) if not has_warned else None
        if peer is not None and peer not in proxies:
            has_warned = True
            logger.warning(
                "X-Forwarded-For of no trusted proxy", extra={"peer": peer, "to_do": _TO_DO}
            )
        await application(scope, receive, send)

    return call


def _forwarding_peer(scope: Any) -> str | None:
    """Return who connected and names another as the visitor; None where nobody does."""
    client = scope.get("client")
    if not client or not any(name == _FORWARDED_FOR for name, _ in scope["headers"]):
        return None
    return str(client[0])
