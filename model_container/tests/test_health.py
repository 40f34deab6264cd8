"""Local HTTP: lives, serves, and lets nobody hold it up or read it from elsewhere."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from motherfluxer_model.errors import UsageError
from motherfluxer_model.health import HealthServer, Page

PAGES = {"/healthz": lambda: Page("application/json", b'{"name": "box-1"}')}


async def ask(server: HealthServer, request: str) -> tuple[int, str, str]:
    """Give status, head and body of the answer; status 0: there was none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request.encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.decode().partition("\r\n\r\n")
    return int(head.split()[1]) if head else 0, head, body


@pytest.fixture
async def server() -> AsyncIterator[HealthServer]:
    server = HealthServer(PAGES)
    await server.start("127.0.0.1", 0, may_move=False)
    yield server
    await server.close()


@pytest.mark.parametrize("path", ["/healthz", "/healthz?x=1"])
async def test_page_is_given(server: HealthServer, path: str) -> None:
    status, head, body = await ask(server, f"GET {path} HTTP/1.1\r\nHost: localhost:1\r\n\r\n")
    assert (status, body) == (200, '{"name": "box-1"}')
    assert "content-type: application/json" in head
    assert "default-src 'none'" in head
    assert "unsafe" not in head


async def test_head_has_no_body(server: HealthServer) -> None:
    status, head, body = await ask(server, "HEAD /healthz HTTP/1.1\r\n\r\n")
    assert (status, body) == (200, "")
    assert "content-length: 17" in head


@pytest.mark.parametrize(
    ("request_line", "status"),
    [("GET /other HTTP/1.1", 404), ("POST /healthz HTTP/1.1", 405), ("nonsense", 404)],
)
async def test_anything_else_is_refused(
    server: HealthServer, request_line: str, status: int
) -> None:
    assert (await ask(server, f"{request_line}\r\n\r\n"))[0] == status


async def test_page_of_another_site_cannot_read_here(server: HealthServer) -> None:
    request = "GET /healthz HTTP/1.1\r\nHost: evil.example:8090\r\n\r\n"
    status, _, body = await ask(server, request)
    assert status == 421
    assert "box-1" not in body


async def test_server_for_the_network_answers_by_any_name() -> None:
    server = HealthServer(PAGES)
    await server.start("0.0.0.0", 0, may_move=False)  # noqa: S104
    assert (await ask(server, "GET /healthz HTTP/1.1\r\nHost: model:8090\r\n\r\n"))[0] == 200
    await server.close()


async def test_endless_head_is_cut_off(server: HealthServer) -> None:
    assert (await ask(server, "GET /healthz HTTP/1.1\r\n" + "x" * 20_000))[0] == 0
    assert (await ask(server, "GET /healthz HTTP/1.1\r\n\r\n"))[0] == 200


async def test_port_that_is_taken_is_told_or_moved_from(server: HealthServer) -> None:
    other = HealthServer({})
    with pytest.raises(UsageError, match=str(server.port)):
        await other.start("127.0.0.1", server.port, may_move=False)
    await other.start("127.0.0.1", server.port, may_move=True)
    assert other.port not in (0, server.port)
    assert other.url == f"http://127.0.0.1:{other.port}"
    await other.close()


async def test_address_that_is_none_is_told() -> None:
    with pytest.raises(UsageError, match=r"192\.0\.2\.1"):
        await HealthServer({}).start("192.0.2.1", 0, may_move=False)
