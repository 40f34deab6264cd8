"""Local HTTP: lives, serves, and lets nobody hold it up."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from motherfluxer_model.errors import UsageError
from motherfluxer_model.health import HealthServer


class Site:
    """A health server on a free port."""

    def __init__(self) -> None:
        self.report: dict[str, Any] = {"name": "box-1", "ready": False}
        self.server = HealthServer(lambda: self.report)

    async def ask(self, request: str) -> tuple[int, dict[str, Any]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        writer.write(request.encode())
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        head, _, body = answer.decode().partition("\r\n\r\n")
        return int(head.split()[1]) if head else 0, json.loads(body) if body else {}


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    await site.server.start("127.0.0.1", 0, may_move=False)
    yield site
    await site.server.close()


async def test_living_and_serving_are_two_things(site: Site) -> None:
    assert await site.ask("GET /healthz HTTP/1.1\r\n\r\n") == (200, site.report)
    assert await site.ask("GET /readyz HTTP/1.1\r\n\r\n") == (503, site.report)
    site.report = {**site.report, "ready": True}
    assert (await site.ask("GET /readyz?x=1 HTTP/1.1\r\nHost: x\r\n\r\n"))[0] == 200


@pytest.mark.parametrize(
    ("request_line", "status"),
    [("GET / HTTP/1.1", 404), ("POST /healthz HTTP/1.1", 405), ("nonsense", 404)],
)
async def test_anything_else_is_refused(site: Site, request_line: str, status: int) -> None:
    assert (await site.ask(f"{request_line}\r\n\r\n"))[0] == status


async def test_endless_head_is_cut_off(site: Site) -> None:
    assert (await site.ask("GET /healthz HTTP/1.1\r\n" + "x" * 20_000))[0] == 0
    assert (await site.ask("GET /healthz HTTP/1.1\r\n\r\n"))[0] == 200


async def test_port_that_is_taken_is_told_or_moved_from(site: Site) -> None:
    other = HealthServer(dict)
    with pytest.raises(UsageError, match=str(site.server.port)):
        await other.start("127.0.0.1", site.server.port, may_move=False)
    await other.start("127.0.0.1", site.server.port, may_move=True)
    assert other.port not in (0, site.server.port)
    await other.close()
