"""The server's own rules on raw sockets: refusals are clear and disturb nobody else."""

import asyncio
import base64
import contextlib
import os
import struct
from collections.abc import AsyncIterator

import pytest

from motherfluxer_wire.limits import CLOSE_PROTOCOL_ERROR, MAX_FRAME_BYTES
from tests.unit.motherfluxer.serving import echo, serving

TEXT, BINARY, CONT, CLOSE, PING = 1, 2, 0, 8, 9
TOO_LARGE = (CLOSE_PROTOCOL_ERROR, "frame_too_large: over 1048576 bytes")
NOT_UTF8 = (CLOSE_PROTOCOL_ERROR, "invalid_utf8: text that is not UTF-8")


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with serving(echo) as port:
        yield port


class RawClient:
    """A websocket client that may break every rule."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, port: int, extra: str = "") -> "RawClient":
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            f"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{extra}\r\n".encode()
        )
        client = cls(reader, writer)
        client.head = (await reader.readuntil(b"\r\n\r\n")).decode()
        return client

    head: str

    async def send(self, opcode: int, data: bytes, *, fin: bool = True) -> None:
        """Send one masked frame."""
        self.writer.write(header(opcode, len(data), fin=fin) + data)
        await self.writer.drain()

    async def frame(self) -> tuple[int, bytes]:
        """Read one frame."""
        first, second = await self.reader.readexactly(2)
        length = second & 127
        if length == 126:
            (length,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
        return first & 15, await self.reader.readexactly(length)

    async def close_frame(self) -> tuple[int, str]:
        """Read on to the close frame; return its code and reason."""
        while True:
            opcode, data = await self.frame()
            if opcode == CLOSE:
                return struct.unpack("!H", data[:2])[0], data[2:].decode()


def header(opcode: int, length: int, *, fin: bool = True) -> bytes:
    """Build a frame's head with a mask of zeros."""
    first = (128 if fin else 0) | opcode
    if length < 126:
        return struct.pack("!BB", first, 128 | length) + bytes(4)
    if length < 65536:
        return struct.pack("!BBH", first, 128 | 126, length) + bytes(4)
    return struct.pack("!BBQ", first, 128 | 127, length) + bytes(4)


async def refused_with(port: int, sent: list[tuple[int, bytes, bool]]) -> tuple[int, str]:
    """Send frames beside a well-behaved neighbour; return the close, the neighbour unharmed."""
    neighbour = await RawClient.connect(port)
    client = await RawClient.connect(port)
    for opcode, data, fin in sent:
        with contextlib.suppress(ConnectionError):
            await client.send(opcode, data, fin=fin)
    closed = await client.close_frame()
    assert await client.reader.read() == b""
    await neighbour.send(TEXT, b"noch da")
    assert await neighbour.frame() == (TEXT, b"noch da")
    for one in (client, neighbour):
        one.writer.close()
    return closed


async def test_a_frame_of_ten_megabytes_is_refused_by_name(port: int) -> None:
    assert await refused_with(port, [(TEXT, b"x" * 10_000_000, True)]) == TOO_LARGE


async def test_an_announced_length_is_refused_before_it_comes(port: int) -> None:
    client = await RawClient.connect(port)
    client.writer.write(header(TEXT, 2**40))
    assert await client.close_frame() == TOO_LARGE
    client.writer.close()


async def test_a_message_too_large_in_pieces_is_refused(port: int) -> None:
    piece = b"x" * 600_000
    assert await refused_with(port, [(TEXT, piece, False), (CONT, piece, True)]) == TOO_LARGE


async def test_the_largest_frame_is_taken(port: int) -> None:
    client = await RawClient.connect(port)
    await client.send(TEXT, b"x" * MAX_FRAME_BYTES)
    opcode, data = await client.frame()
    assert (opcode, len(data)) == (TEXT, MAX_FRAME_BYTES)
    client.writer.close()


@pytest.mark.parametrize(
    "data", [b"\xc3", b"abc\xff", b"\xed\xa0\x80", b"\xc0\x80", "ü".encode()[:1] + b"x"]
)
async def test_text_that_is_not_utf8_is_refused_by_name(port: int, data: bytes) -> None:
    assert await refused_with(port, [(TEXT, data, True)]) == NOT_UTF8


async def test_a_character_may_straddle_two_fragments(port: int) -> None:
    client = await RawClient.connect(port)
    await client.send(TEXT, b"\xc3", fin=False)
    await client.send(PING, b"between")
    await client.send(CONT, b"\xbc")
    assert await client.frame() == (10, b"between")
    assert await client.frame() == (TEXT, "ü".encode())
    client.writer.close()


async def test_bytes_that_are_no_text_pass_as_binary(port: int) -> None:
    client = await RawClient.connect(port)
    await client.send(BINARY, b"\xff\xfe", fin=False)
    await client.send(CONT, b"\xff")
    assert await client.frame() == (BINARY, b"\xff\xfe\xff")
    client.writer.close()


@pytest.mark.parametrize(
    "sent",
    [
        [(PING, b"", False)],
        [(CONT, b"x", True)],
        [(TEXT, b"x", False), (TEXT, b"y", True)],
        [(3, b"", True)],
        [(PING, b"x" * 126, True)],
    ],
)
async def test_broken_framing_is_refused_as_the_rfc_says(
    port: int, sent: list[tuple[int, bytes, bool]]
) -> None:
    code, reason = await refused_with(port, sent)
    assert code == 1002
    assert reason


async def test_a_frame_without_a_mask_is_refused(port: int) -> None:
    client = await RawClient.connect(port)
    client.writer.write(b"\x81\x01x")
    assert (await client.close_frame())[0] == 1002
    client.writer.close()


async def test_an_upgrade_with_too_many_headers_is_answered(port: int) -> None:
    client = await RawClient.connect(port, extra="X-A: b\r\n" * 200)
    assert client.head.startswith("HTTP/1.1 431")
    client.writer.close()
