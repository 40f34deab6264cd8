"""`/metrics` below Django's middleware, and the count of all responses."""

import hmac
import ipaddress
from collections.abc import Awaitable, Callable
from typing import Any, Final

from django.conf import settings

from apps.operations.metrics import CONTENT_TYPE, metrics_text, response_count

Application = Callable[[Any, Any, Any], Awaitable[None]]

# Whoever comes through a proxy is not on this machine, even if the proxy is.
_OF_A_PROXY: Final = (b"x-forwarded-for", b"x-forwarded-proto", b"x-real-ip", b"forwarded", b"via")


def counted(application: Application) -> Application:
    """Count an HTTP application's responses by the class of their status."""

    async def call(scope: Any, receive: Any, send: Any) -> None:
        is_begun = False

        async def counting_send(message: Any) -> None:
            nonlocal is_begun
            if not is_begun and message["type"] == "http.response.start":
                is_begun = True
                response_count(message["status"])
            await send(message)

        try:
            await application(scope, receive, counting_send)
        except Exception:
            if not is_begun:
                response_count(500)  # as the server will answer
            raise

    return call


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Serve one request for `/metrics`."""
    if scope["method"] not in ("GET", "HEAD"):
        await _reply(send, 405, b"Only GET.\n", [(b"allow", b"GET, HEAD")])
    elif not _may_read(scope):
        words = b"From this machine only, or with the token of METRICS_TOKEN.\n"
        await _reply(send, 401, words, [(b"www-authenticate", b"Bearer")])
    else:
        await _reply(send, 200, b"" if scope["method"] == "HEAD" else metrics_text())


def _may_read(scope: Any) -> bool:
    headers = scope["headers"]
    if token := settings.METRICS_TOKEN:
        wanted = f"Bearer {token}".encode()
        given = [value for name, value in headers if name == b"authorization"]
        if len(given) == 1 and hmac.compare_digest(given[0], wanted):
            return True
    is_direct = not any(name in _OF_A_PROXY for name, _ in headers)
    return is_direct and _is_this_machine(scope) and _is_asked_for_this_machine(headers)


def _is_this_machine(scope: Any) -> bool:
    client = scope.get("client")
    return client is not None and _is_loopback(client[0])


def _is_asked_for_this_machine(headers: Any) -> bool:
    """Whether the name that was asked for is this machine's own, not the public one of a site."""
    hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
    return len(hosts) == 1 and _is_loopback(_without_port(hosts[0]))


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_loopback(address: str) -> bool:
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


async def _reply(
    send: Any, status: int, body: bytes, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    content_type = CONTENT_TYPE if status == 200 else "text/plain; charset=utf-8"
    start = {
        "type": "http.response.start",
        "status": status,
        "headers": [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            *(headers or []),
        ],
    }
    await send(start)
    await send({"type": "http.response.body", "body": body})
