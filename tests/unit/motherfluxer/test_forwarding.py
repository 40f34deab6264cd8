"""Who forwards and is not trusted is told of, once."""

import logging
from typing import Any

import pytest

from motherfluxer.forwarding import with_proxies_watched

TRUSTED = ["10.0.0.0/8", "::1"]
HEADER = (b"x-forwarded-for", b"203.0.113.7, secret.example")


class Reached:
    """An application that notes what reaches it."""

    def __init__(self) -> None:
        self.scopes: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)


def request(peer: str | None, *headers: tuple[bytes, bytes], kind: str = "http") -> dict[str, Any]:
    return {"type": kind, "client": (peer, 4711) if peer else None, "headers": list(headers)}


async def warned(
    caplog: pytest.LogCaptureFixture, trusted: list[str], *scopes: dict[str, Any]
) -> list[logging.LogRecord]:
    """Return what is logged over these requests, all of which are served."""
    reached = Reached()
    watched = with_proxies_watched(reached, trusted)
    for scope in scopes:
        await watched(scope, None, None)
    assert reached.scopes == list(scopes)
    return [one for one in caplog.records if one.name == "motherfluxer.forwarding"]


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(("peer", "trusted"), [("192.0.2.1", TRUSTED), ("10.1.2.3", [])])
async def test_peer_that_is_not_trusted_is_told_of_once(
    caplog: pytest.LogCaptureFixture, kind: str, peer: str, trusted: list[str]
) -> None:
    quiet, loud = request(peer, kind=kind), request(peer, HEADER, kind=kind)
    [record] = await warned(caplog, trusted, quiet, loud, loud, request("192.0.2.2", HEADER))
    assert record.levelno == logging.WARNING
    assert vars(record)["peer"] == peer
    assert "TRUSTED_PROXIES" in vars(record)["to_do"]
    # What the header holds is somebody's address, or made up.
    assert not any("203.0.113.7" in str(value) for value in vars(record).values())


@pytest.mark.parametrize(
    "scope",
    [
        request("10.1.2.3", HEADER),
        request("::1", HEADER),
        request("192.0.2.1"),
        request("192.0.2.1", (b"x-forwarded-proto", b"https")),
        request(None, HEADER),
        {"type": "lifespan"},
    ],
)
async def test_nothing_is_told_of_others(
    caplog: pytest.LogCaptureFixture, scope: dict[str, Any]
) -> None:
    assert await warned(caplog, TRUSTED, scope) == []
