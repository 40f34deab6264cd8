"""Many readers at once who come back when their connection breaks, and check each character."""

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from tests.acceptance.visitors import Visitor
from tests.sites import Site
from tests.streams import ChatAnswer, api_text

PAUSE_S: Final = 0.2
PATIENCE_S: Final = 120.0


def question_of(number: int, words: int = 100) -> str:
    """Return a question like no other; the echo engine's answer is the same text."""
    return " ".join([f"r{number}é", *(f"w{n}ö" for n in range(words))])


@dataclass
class Answer:
    """An answer as it is read, over as many connections as it takes."""

    visitor: Visitor
    question: str
    told: ChatAnswer = field(default_factory=ChatAnswer)

    async def read(self, stream_url: str) -> None:
        """Read to the end; come back to where it stopped."""
        told = self.told
        while told.end is None:
            with contextlib.suppress(httpx.TransportError):
                await self._read_some(f"{stream_url}?from={len(told.text)}")
            if told.end is None:
                await asyncio.sleep(PAUSE_S)
        assert told.end["error"] is None, told.end
        assert told.text == self.question, (len(told.text), told.text[-20:], told.end)

    @property
    def is_running(self) -> bool:
        """Whether some of it was read, and not all."""
        return bool(self.told.text) and self.told.end is None

    async def _read_some(self, url: str) -> None:
        async with self.visitor.client.stream("GET", url) as response:
            assert response.status_code in (200, 502, 503), response.status_code
            if response.status_code != 200:
                return
            self.told.connect()
            async for line in response.aiter_lines():
                self.told.take(line)


class Crowd:
    """Visitors of whom each asks, reads to the end, and asks again, until it is enough.

    refused: what was said to those who asked at a bad moment, by code. answers_count: how many
    answers were read, each of them whole.
    """

    def __init__(self, visitors: list[Visitor]) -> None:
        self.refused: Counter[str] = Counter()
        self.answers_count = 0
        self._visitors = visitors
        self._reading: dict[int, Answer] = {}
        self._is_enough = False
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        """Let everybody ask; return when all are reading."""
        self._tasks = [
            asyncio.create_task(self._go_on(number, visitor))
            for number, visitor in enumerate(self._visitors)
        ]
        async with asyncio.timeout(PATIENCE_S):
            while len(self._reading) < len(self._visitors):  # noqa: ASYNC110 # as they come
                await asyncio.sleep(0.05)

    @property
    def reading_count(self) -> int:
        """How many are in the middle of an answer now."""
        return sum(answer.is_running for answer in self._reading.values())

    async def finish(self) -> None:
        """Let everybody read what he asked for to its end."""
        self._is_enough = True
        await asyncio.wait_for(asyncio.gather(*self._tasks), PATIENCE_S)

    async def _go_on(self, number: int, visitor: Visitor) -> None:
        while not self._is_enough:
            answer = Answer(visitor, question_of(number + 1000 * self.answers_count))
            told = await self._ask(visitor, answer.question)
            if told is not None:
                self._reading[number] = answer
                await answer.read(told["stream_url"])
                self.answers_count += 1

    async def _ask(self, visitor: Visitor, question: str) -> dict[str, Any] | None:
        """Ask; None when it was refused in words that say to come again, or the way broke."""
        try:
            response = await visitor.try_ask(question)
        except (httpx.TransportError, AssertionError):  # the latter: no page to ask on
            response = None
        if response is not None and response.status_code == 201:
            told: dict[str, Any] = response.json()
            return told
        if response is not None:
            assert response.status_code in (429, 503), response.text
            self.refused[response.json()["error"]["code"]] += 1
        await asyncio.sleep(PAUSE_S)
        return None


def api_question(number: int, words: int) -> dict[str, Any]:
    """Return the body of a streamed request to /v1."""
    message = {"role": "user", "content": question_of(number, words)}
    return {"model": "echo", "stream": True, "messages": [message]}


async def api_answer(site: Site, port: int, key: str, body: dict[str, Any]) -> str:
    """Read a streamed answer of /v1, over one connection: nobody can come back to it."""
    headers = {"Authorization": f"Bearer {key}", "Host": f"{site.host()}:{port}"}
    address = f"http://127.0.0.1:{port}/v1/chat/completions"
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as client:
        response = await client.post(address, json=body, headers=headers)
    assert response.status_code == 200, response.text
    return api_text(response.text)
