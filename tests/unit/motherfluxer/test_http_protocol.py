"""The server's own rules for requests, on raw sockets: each part ends, in size and in time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.unit.motherfluxer.serving import echo, serving

SOON_S = 0.3
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with serving(echo) as port:
        yield port


async def sent(port: int, *pieces: bytes, pause_s: float = 0.0) -> bytes:
    """Send pieces, and return everything that comes until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = asyncio.create_task(reader.read())
    for piece in pieces:
        if not answer.done():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)
    try:
        async with asyncio.timeout(20):
            return await answer
    finally:
        writer.close()


async def body_reader(scope: Any, receive: Any, send: Any) -> None:
    """Answer with how the body ended."""
    message = await receive()
    while message.get("more_body"):
        message = await receive()
    if message["type"] == "http.request":
        await echo(scope, receive, send)


async def test_a_head_without_end_is_refused(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")
    with contextlib.suppress(ConnectionError):
        for _ in range(40):
            writer.write(b"X-Filler: " + b"y" * 4096 + b"\r\n")
            await writer.drain()
    assert (await reader.readline()).startswith(b"HTTP/1.1 431")
    writer.close()


async def test_a_large_body_is_no_large_head(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Le")
    await writer.drain()
    await asyncio.sleep(0.02)
    writer.write(b"ngth: 300000\r\nConnection: close\r\n\r\n" + b"x" * 300_000)
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()


@pytest.mark.parametrize(
    "fields", [b"X-A: b\r\n" * 101, b"X-A: " + b"b" * 70_000 + b"\r\n"], ids=["many", "long"]
)
async def test_a_head_too_large_is_refused_also_in_one_piece(port: int, fields: bytes) -> None:
    answer = await sent(port, b"GET / HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 431")
    assert answer.count(b"HTTP/1.1") == 1


async def test_a_head_that_trickles_is_cut() -> None:
    async with serving(echo, head_within_s=SOON_S) as port:
        answer = await sent(port, *[bytes([one]) for one in GET[:-1]], pause_s=SOON_S / 10)
    assert answer.startswith(b"HTTP/1.1 408")


async def test_a_connection_that_says_nothing_is_closed() -> None:
    async with serving(echo, head_within_s=SOON_S) as port:
        assert await sent(port) == b""


async def test_a_later_head_that_trickles_is_cut() -> None:
    async with serving(echo, head_within_s=SOON_S) as port:
        answer = await sent(port, GET, GET[:10])
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"HTTP/1.1 408" in answer


async def test_a_kept_connection_may_be_idle_for_longer_than_a_head_may_take() -> None:
    async with serving(echo, head_within_s=SOON_S) as port:
        last = GET.replace(b"Host", b"Connection: close\r\nHost")
        answer = await sent(port, GET, last, pause_s=2 * SOON_S)
    assert answer.count(b"HTTP/1.1 200") == 2


async def test_a_body_that_stops_coming_is_cut() -> None:
    async with serving(body_reader, body_idle_s=SOON_S) as port:
        assert (await sent(port, HEAD, b"12345")).startswith(b"HTTP/1.1 408")


async def test_a_body_that_trickles_is_cut_in_the_end() -> None:
    async with serving(body_reader, body_idle_s=SOON_S, body_within_s=2 * SOON_S) as port:
        answer = await sent(port, HEAD, *[b"1"] * 9, pause_s=SOON_S / 3)
    assert answer.startswith(b"HTTP/1.1 408")


async def test_an_unread_body_does_not_hold_a_connection_that_was_answered() -> None:
    async with serving(echo, body_idle_s=SOON_S) as port:
        answer = await sent(port, HEAD, b"12345")
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"408" not in answer


async def test_a_body_that_the_application_does_not_read_yet_is_not_late() -> None:
    may_read = asyncio.Event()

    async def late_reader(scope: Any, receive: Any, send: Any) -> None:
        await may_read.wait()
        await body_reader(scope, receive, send)

    large = b"x" * 300_000
    head = HEAD.replace(b"10", b"300000").replace(b"Host", b"Connection: close\r\nHost")
    async with serving(late_reader, body_idle_s=SOON_S) as port:
        asyncio.get_running_loop().call_later(3 * SOON_S, may_read.set)
        assert (await sent(port, head, large)).startswith(b"HTTP/1.1 200")


async def test_a_reader_that_takes_nothing_is_given_up() -> None:
    gone = asyncio.Event()

    async def flood(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        waiting = asyncio.create_task(receive())
        while not waiting.done():
            piece = {"type": "http.response.body", "body": b"x" * 65536, "more_body": True}
            await send(piece)
            await asyncio.sleep(0)
        gone.set()

    async with serving(flood, stalled_within_s=SOON_S) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(GET)
        async with asyncio.timeout(20):
            await gone.wait()
        writer.close()
