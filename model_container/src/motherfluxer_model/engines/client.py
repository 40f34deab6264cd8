"""Speaking HTTP with an OpenAI-compatible server: streams, and what it says of itself."""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2

from motherfluxer_model.core.answer import Piece
from motherfluxer_model.core.events import Event, EventReader
from motherfluxer_model.core.manner import Call
from motherfluxer_model.core.mishaps import broken, judge_status
from motherfluxer_model.core.said import Said
from motherfluxer_model.core.stops import StopFinder
from motherfluxer_model.dialling import make_tls
from motherfluxer_model.errors import AnswerCutError, GenerationError
from motherfluxer_model.upstream import Upstream

CONNECT_S: Final = 5.0
WRITE_S: Final = 10.0
TALK_S: Final = 5.0  # for what a server says of itself
TAIL_S: Final = 1.0
LATELY_S: Final = 10.0
KEPT_S: Final = 2.0  # less than any server keeps a connection: none is used while it is closed
MAX_BODY_BYTES: Final = 4 * 1024 * 1024
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
# A machine that vanished without a word is noticed within half a minute.
KEEPALIVE: Final = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
        if hasattr(socket, name)
    ),
]


class UnreachableError(Exception):
    """The server cannot be spoken with at all; `is_refusal`: nobody listens there."""

    def __init__(self, words: str, *, is_refusal: bool = False) -> None:
        super().__init__(words)
        self.is_refusal = is_refusal


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server says of itself; `body` is None where it is no JSON."""

    status: int
    body: Any


class Client:
    """Connections to one server."""

    def __init__(self, upstream: Upstream) -> None:
        self.url = upstream.url
        self._key = upstream.key
        self._heard_at = float("-inf")
        self._http = httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {upstream.key}"} if upstream.key else {},
            timeout=httpx2.Timeout(None, connect=CONNECT_S, write=WRITE_S),
            transport=httpx2.AsyncHTTPTransport(
                limits=httpx2.Limits(max_connections=None, keepalive_expiry=KEPT_S),
                verify=make_tls(upstream.ca_file),
                proxy=_find_proxy(upstream.url),
                socket_options=KEEPALIVE,
            ),
        )

    @property
    def is_heard_lately(self) -> bool:
        """Whether the server said something in the last seconds: then it is busy, not dead."""
        return asyncio.get_running_loop().time() - self._heard_at < LATELY_S

    async def talk(self, path: str, *, is_outside: bool = False) -> Reply:
        """Get what the server says of itself; `is_outside`: beside the `/v1` of its address.

        Raises UnreachableError.
        """
        base = self.url.removesuffix("/v1") if is_outside else self.url
        try:
            response = await self._http.get(base + path, timeout=TALK_S)
        except httpx2.HTTPError as error:
            is_refusal = isinstance(error, httpx2.ConnectError)
            raise UnreachableError(_words(error), is_refusal=is_refusal) from error
        try:
            body = response.json() if len(response.content) <= MAX_BODY_BYTES else None
        except ValueError:
            body = None
        return Reply(response.status_code, body)

    async def stream(self, call: Call) -> AsyncGenerator[Event]:
        """Send a request once and give its events as they come. Raises GenerationError."""
        try:
            async with self._http.stream("POST", self.url + call.path, json=call.body) as response:
                if response.status_code != 200:
                    body = await _read_start(response)
                    raise judge_status(response.status_code, self._hide_key(body))
                kind = response.headers.get("content-type", "")
                if kind.startswith("application/json"):  # it does not stream
                    yield Event(await _read_start(response))
                    return
                async for event in _read_events(response):
                    self._heard_at = asyncio.get_running_loop().time()
                    yield event
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            words = f"the server behind this instance cannot be reached: {_words(error)}"
            raise GenerationError("overloaded", words, retryable=True) from error
        except httpx2.HTTPError as error:
            raise AnswerCutError(f"the connection to the server broke: {_words(error)}") from error
        except ValueError as error:
            raise broken(f"the server sent {error}") from error

    def _hide_key(self, text: str) -> str:
        """Take the key out of words that travel on: some servers quote it in a refusal."""
        return text.replace(self._key, "(key)") if self._key else text

    async def say(self, call: Call, said: Said) -> AsyncGenerator[Piece]:
        """Send a request and give the answer's pieces; `said` tells the rest then.

        Raises GenerationError, also for an answer that ends without its ending.
        """
        async with aclosing(self.stream(call)) as events:
            while not said.is_over and (event := await _next(events, said)) is not None:
                if (piece := said.take(event)) is not None:
                    yield piece
        if said.reason is None:
            raise AnswerCutError("the server ended the answer in its middle")
        if (piece := said.finish()) is not None:
            yield piece

    async def collect(self, call: Call, most_tokens: int) -> tuple[str, Said]:
        """Send a request and give the whole answer. Raises GenerationError."""
        said = Said(StopFinder([], ""), most_tokens)
        text = "".join([piece.text async for piece in self.say(call, said)])
        return text, said

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()


async def _next(events: AsyncGenerator[Event], said: Said) -> Event | None:
    """Give the next event; None: there is none.

    Behind the answer's end only counts can come: nothing is waited for long, and no error matters.
    """
    try:
        async with asyncio.timeout(None if said.reason is None else TAIL_S):
            return await anext(events, None)
    except (TimeoutError, GenerationError):
        if said.reason is None:
            raise
        return None


async def _read_events(response: httpx2.Response) -> AsyncIterator[Event]:
    reader = EventReader()
    async for data in response.aiter_bytes():
        for event in reader.feed(data):
            yield event
    for event in reader.finish():
        yield event


async def _read_start(response: httpx2.Response) -> str:
    """Read a body that should be small."""
    data = b""
    async for part in response.aiter_bytes():
        data += part
        if len(data) > MAX_BODY_BYTES:
            break
    return data[:MAX_BODY_BYTES].decode(errors="replace")


def _find_proxy(url: str) -> str | None:
    """Give the proxy that the environment names for an address; this machine needs none."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in LOOPBACK or proxy_bypass(host):
        return None
    return getproxies().get(parts.scheme)


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
