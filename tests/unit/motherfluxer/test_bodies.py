"""A body that is too large is refused before Django keeps it, and the refusal can be read."""

import pytest
from pytest_django import Settings

from motherfluxer.bodies import with_bounded_body
from tests.unit.motherfluxer.serving import serving
from tests.unit.motherfluxer.test_http_protocol import body_reader, sent

CLOSE = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
CHUNKED = CLOSE + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(autouse=True)
def bound(settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000


async def answer_to(*pieces: bytes) -> bytes:
    async with serving(with_bounded_body(body_reader)) as port:
        return await sent(port, *pieces)


async def test_a_body_of_the_largest_size_is_taken() -> None:
    head = CLOSE + b"Content-Length: 1000\r\n\r\n"
    assert (await answer_to(head, b"x" * 1000)).startswith(b"HTTP/1.1 200")


async def test_a_larger_one_is_refused_by_its_length() -> None:
    head = CLOSE + b"Content-Length: 1000001\r\n\r\n"
    assert (await answer_to(head, b"x" * 1_000_001)).startswith(b"HTTP/1.1 413")


async def test_one_without_a_length_is_refused_when_it_gets_there() -> None:
    chunk = b"200\r\n" + b"x" * 512 + b"\r\n"
    answer = await answer_to(CHUNKED, *[chunk] * 20, b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413")
    assert answer.endswith(b"The body is too large.")
