"""Whatever is posted to `/v1` over a real connection gets a documented answer, and harms nobody.

Meanwhile an ordinary reader keeps asking, and gets every answer whole.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any, Final

import httpx
import pytest

from apps.api.asgi import _DIALECTS
from apps.router.errors import ErrorCode
from tests.acceptance.raw import PATIENCE_S, Job, RawInstance, raw_instance, reader_of
from tests.conformance.hostile import (
    GOOD_BODIES,
    MODEL,
    Hostile,
    broken_bodies,
    parameters_of,
    wrong_parameters,
)
from tests.sites import Site

WHOLE: Final = "here I am"
TEN_MB: Final = 10_000_000
PATHS: Final = sorted(GOOD_BODIES)
UNREADABLE: Final = (ErrorCode.INVALID_REQUEST, ErrorCode.REQUEST_TOO_LARGE)


@pytest.fixture(scope="module")
def hostile_site(_new_site: Callable[..., Site]) -> Iterator[Site]:
    """Yield a site whose keys may ask as often as they like; it never complains."""
    site = _new_site(env={"API_REQUESTS_PER_MINUTE": "1000000"}).start()
    yield site
    assert site.program is not None
    assert site.program.is_running
    assert '"level": "error"' not in site.program.output
    site.close()


@pytest.fixture(scope="module")
def key(hostile_site: Site) -> str:
    return hostile_site.api_key()


@pytest.fixture(scope="module")
def credential(hostile_site: Site) -> str:
    return hostile_site.issue_credential("hostile")


async def say_something(instance: RawInstance, job: Job) -> None:
    """Answer in three pieces."""
    await instance.echo(job, ["here ", "I ", "am"])


@pytest.fixture
async def disturbed(hostile_site: Site, key: str, credential: str) -> AsyncIterator[None]:
    """Have an ordinary reader ask all the time, and check its answers."""
    port, answers, is_over = hostile_site.port, 0, asyncio.Event()

    async def keep_asking() -> None:
        nonlocal answers
        while not is_over.is_set() or not answers:
            assert await reader.ask("hi", model=MODEL).whole() == WHOLE
            answers += 1

    one = raw_instance(port, credential, "calm", model=MODEL, slots=16, work=say_something)
    async with one, reader_of(hostile_site, key) as reader, asyncio.TaskGroup() as tasks:
        tasks.create_task(keep_asking())
        yield
        is_over.set()


def test_every_address_that_takes_a_body_is_tried() -> None:
    assert set(_DIALECTS) == set(GOOD_BODIES)
    for path, good in GOOD_BODIES.items():
        assert set(good) < set(parameters_of(_DIALECTS[path]))


def refusal_of(path: str, status: int, body: bytes) -> tuple[ErrorCode, str | None]:
    """Return a refusal's code and parameter, after checking that it has the documented form."""
    found = json.loads(body)
    error: dict[str, Any] = found["error"]
    assert error["message"]
    if path == "/v1/messages":
        assert found.keys() == {"type", "error", "request_id"}
        code, param = error["details"]["error_code"], error["details"]["param"]
    else:
        assert found.keys() == {"error"}
        assert error.keys() == {"message", "type", "param", "code"}
        code, param = error["code"], error["param"]
    assert ErrorCode(code).http_status == status
    assert 400 <= status < 500
    return ErrorCode(code), param


async def post_all(site: Site, key: str, path: str, bodies: Iterable[Hostile]) -> list[int]:
    """Post bodies one after the other; return the statuses."""
    headers = {"Authorization": f"Bearer {key}"}
    statuses = []
    async with httpx.AsyncClient(
        base_url=site.url, headers=headers, timeout=PATIENCE_S, trust_env=False
    ) as client:
        for hostile in bodies:
            response = await client.post(path, content=hostile.body)
            shown = (hostile.body[:200], hostile.body[-200:], response.text[:300])
            statuses.append(response.status_code)
            if response.status_code == 200:
                assert hostile.is_json, shown
                continue
            code, param = refusal_of(path, response.status_code, response.content)
            if not hostile.is_json:
                assert code in UNREADABLE, shown
            elif hostile.param is not None:
                assert (param or "").startswith(hostile.param), shown
    return statuses


@pytest.mark.usefixtures("disturbed")
@pytest.mark.parametrize("path", PATHS)
async def test_a_wrong_value_is_refused_by_its_parameters_name(
    hostile_site: Site, key: str, path: str
) -> None:
    bodies = list(wrong_parameters(GOOD_BODIES[path], parameters_of(_DIALECTS[path])))
    halves = (bodies[::2], bodies[1::2])
    found = await asyncio.gather(*(post_all(hostile_site, key, path, half) for half in halves))
    statuses = [status for half in found for status in half]
    assert statuses.count(200) < len(statuses) / 4
    assert len(statuses) > 100


@pytest.mark.usefixtures("disturbed")
@pytest.mark.parametrize("path", PATHS)
async def test_a_broken_body_is_refused(hostile_site: Site, key: str, path: str) -> None:
    good = GOOD_BODIES[path]
    statuses = await post_all(hostile_site, key, path, broken_bodies(good))
    assert 200 not in statuses
    assert await post_all(hostile_site, key, path, [Hostile(json.dumps(good).encode())]) == [200]


async def exchange(
    site: Site, pieces: Iterable[bytes], *, pause_s: float = 0.0
) -> tuple[int, bytes]:
    """Send bytes over a connection of one's own; return status and body, 0 where none came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)

    async def send() -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)

    received, sending = b"", asyncio.create_task(send())
    try:
        with contextlib.suppress(OSError):
            async with asyncio.timeout(PATIENCE_S):
                while piece := await reader.read(65536):
                    received += piece
    finally:
        sending.cancel()
        writer.close()
        await asyncio.gather(sending, writer.wait_closed(), return_exceptions=True)
    head, _, body = received.partition(b"\r\n\r\n")
    return (int(head.split()[1]), body) if head else (0, b"")


def head_of(path: str, key: str, *lines: str) -> bytes:
    """Return the head of a request that closes its connection."""
    first = [f"POST {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {key}"]
    return "\r\n".join([*first, "Connection: close", *lines, "", ""]).encode("latin-1")


def chunked(body: bytes, size: int) -> Iterator[bytes]:
    """Yield a body in chunks, with its end."""
    for start in range(0, len(body), size):
        piece = body[start : start + size]
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def ten_megabytes(path: str) -> bytes:
    """Return a question that would be right if it were not so long."""
    return json.dumps({**GOOD_BODIES[path], "user": "x" * TEN_MB}).encode()


@pytest.mark.usefixtures("disturbed")
@pytest.mark.parametrize("path", PATHS)
async def test_ten_megabytes_are_refused_however_they_come(
    hostile_site: Site, key: str, path: str
) -> None:
    body = ten_megabytes(path)
    whole = [head_of(path, key, f"Content-Length: {len(body)}"), body]
    pieces = [head_of(path, key, "Transfer-Encoding: chunked"), *chunked(body, 60_000)]
    for sent in (whole, pieces):
        status, answer = await exchange(hostile_site, sent)
        assert refusal_of(path, status, answer)[0] is ErrorCode.REQUEST_TOO_LARGE
    stranger = [head_of(path, "mf_no", f"Content-Length: {len(body)}"), body]
    status, answer = await exchange(hostile_site, stranger)
    assert refusal_of(path, status, answer)[0] is ErrorCode.INVALID_API_KEY


@pytest.mark.usefixtures("disturbed")
@pytest.mark.parametrize("path", PATHS)
async def test_a_body_that_comes_byte_by_byte_is_answered(
    hostile_site: Site, key: str, path: str
) -> None:
    body = json.dumps(GOOD_BODIES[path]).encode()
    one_by_one = [body[n : n + 1] for n in range(len(body))]
    length = head_of(path, key, f"Content-Length: {len(body)}")
    status, _ = await exchange(hostile_site, [length, *one_by_one], pause_s=0.001)
    assert status == 200
    head = head_of(path, key, "Transfer-Encoding: chunked")
    status, _ = await exchange(hostile_site, [head, *chunked(body, 1)], pause_s=0.001)
    assert status == 200


CONTENT_TYPES: Final = (
    *("text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"),
    *("application/json; charset=utf-16", "\xff\xfe", "x" * 10_000, ""),
)


@pytest.mark.usefixtures("disturbed")
@pytest.mark.parametrize("path", PATHS)
async def test_what_a_body_is_called_changes_nothing(
    hostile_site: Site, key: str, path: str
) -> None:
    body = json.dumps(GOOD_BODIES[path]).encode()
    for content_type in CONTENT_TYPES:
        lines = (f"Content-Length: {len(body)}", f"Content-Type: {content_type}")
        status, _ = await exchange(hostile_site, [head_of(path, key, *lines), body])
        assert status == 200, content_type
    lines = (f"Content-Length: {len(body)}", "Content-Encoding: gzip")
    status, answer = await exchange(hostile_site, [head_of(path, key, *lines), body])
    assert refusal_of(path, status, answer)[0] is ErrorCode.UNSUPPORTED_ENCODING


BROKEN_CHUNKS: Final = (
    *(b"zz\r\nabc\r\n0\r\n\r\n", b"-1\r\nabc\r\n", b"ffffffffffffffffff\r\n", b"\x00\r\n"),
    *(b"3\r\nabcdef\r\n0\r\n\r\n", b"1" * 100_000),
)
BROKEN_LENGTHS: Final = ("-1", "1e3", "18446744073709551617", "1, 2", "0x10", "\xb2")


@pytest.mark.usefixtures("disturbed")
@pytest.mark.parametrize("path", PATHS)
async def test_what_is_no_http_ends_its_own_connection_alone(
    hostile_site: Site, key: str, path: str
) -> None:
    head = head_of(path, key, "Transfer-Encoding: chunked")
    heads = [head_of(path, key, f"Content-Length: {length}") for length in BROKEN_LENGTHS]
    both = head_of(path, key, "Content-Length: 5", "Transfer-Encoding: chunked")
    broken = [
        *([head, chunk] for chunk in BROKEN_CHUNKS),
        *([broken, b"{}"] for broken in heads),
        [both, *chunked(b"{}", 2)],
    ]
    for sent in broken:
        # No answer: the connection was cut while more was coming.
        assert (await exchange(hostile_site, sent))[0] in (0, 400), sent


@pytest.mark.usefixtures("disturbed")
@pytest.mark.parametrize("path", PATHS)
async def test_bodies_that_never_end_hold_up_nobody(
    hostile_site: Site, key: str, path: str
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(25):
            _, writer = await asyncio.open_connection("127.0.0.1", hostile_site.port)
            stack.push_async_callback(writer.wait_closed)
            stack.callback(writer.close)
            writer.write(head_of(path, key, "Content-Length: 1000") + b'{"model": ')
            await writer.drain()
        good = Hostile(json.dumps(GOOD_BODIES[path]).encode())
        assert await post_all(hostile_site, key, path, [good]) == [200]
