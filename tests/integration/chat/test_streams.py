"""An answer's event stream: resumed by offset, for its owner alone."""

import asyncio
import json
import uuid
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import AsyncClient

from apps.chat.asgi import application
from apps.chat.running import running_find
from motherfluxer.hosts import cookie_name
from tests.integration.chat.conftest import JSON, Answering, UserClient

pytestmark = pytest.mark.django_db(transaction=True)


class Reader:
    """Reads one event stream as a server would carry it."""

    def __init__(self, client: AsyncClient, url: str, *, query: str = "", **headers: str) -> None:
        cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())
        session = client.cookies.get(
            cookie_name(settings.SESSION_COOKIE_NAME, "user", is_secure=False)
        )
        named = [(key.replace("_", "-").encode(), value.encode()) for key, value in headers.items()]
        scope = {
            "type": "http",
            "method": "GET",
            "path": url,
            "query_string": query.encode(),
            "headers": [(b"host", b"localhost"), (b"cookie", cookies.encode()), *named],
            "mf_session_key": session.value if session else None,
        }
        self.status = 0
        self.body = b""
        self.is_over = False
        self._changed = asyncio.Event()
        self._from_client: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._from_client.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        self.task = asyncio.ensure_future(application(scope, self._from_client.get, self._take))

    async def _take(self, message: dict[str, Any]) -> None:
        self.status = message.get("status", self.status)
        self.body += message.get("body", b"")
        if message["type"] == "http.response.body":
            self.is_over = not message.get("more_body", False)
        self._changed.set()

    def hang_up(self) -> None:
        """Leave."""
        self._from_client.put_nowait({"type": "http.disconnect"})

    @property
    def events(self) -> list[tuple[str, Any]]:
        """The events so far, each with its data."""
        blocks = [block.split("\n") for block in self.body.decode().split("\n\n")]
        found = []
        for block in blocks:
            fields = dict(line.split(": ", 1) for line in block if line)
            if "event" in fields:
                found.append((fields["event"], json.loads(fields["data"])))
        return found

    @property
    def text(self) -> str:
        """The pieces joined."""
        return "".join(data for name, data in self.events if name == "text")

    async def until(self, name: str, count: int = 1) -> Any:
        """Wait for an event and return its data."""
        while True:
            found = [data for event, data in self.events if event == name]
            if len(found) >= count:
                return found[count - 1]
            self._changed.clear()
            await self._changed.wait()


async def asked(client: AsyncClient) -> dict[str, Any]:
    """Ask something and return what the page's script is told."""
    response = await client.post("/chat/ask", {"text": "Hello?"}, headers=JSON)
    assert response.status_code == 201
    told: dict[str, Any] = response.json()
    return told


async def test_answer_streams_from_queue_to_end(visitor: AsyncClient, answering: Answering) -> None:
    told = await asked(visitor)
    stream = await answering.next_job()
    reader = Reader(visitor, told["stream_url"])
    place = await reader.until("place")
    assert (place["place"], place["online"]) == (1, 0)
    answering.start(stream)
    assert (await reader.until("started"))["instance"] == "one"
    answering.say(stream, "Grüße\n")
    await reader.until("text")
    answering.say(stream, "🙂 data: x")
    answering.finish(stream)
    end = await reader.until("end")
    await reader.task
    assert reader.text == "Grüße\n🙂 data: x"
    assert (end["finish_reason"], end["error"], end["attempts"]) == ("stop", None, 1)
    assert end["allowance"]["left"] == 9
    assert reader.body.startswith(b"retry: 500\n\n")
    assert reader.is_over


async def test_reader_comes_back_to_where_it_was(
    visitor: AsyncClient, answering: Answering
) -> None:
    told = await asked(visitor)
    stream = await answering.next_job()
    answering.start(stream)
    answering.say(stream, "🙂🙂")
    first = Reader(visitor, told["stream_url"])
    await first.until("text")
    assert b"id: 2\n" in first.body
    first.hang_up()
    await first.task
    assert stream.ended is None
    answering.say(stream, " and on")
    again = Reader(visitor, told["stream_url"], query="from=0", last_event_id="2")
    await again.until("text")
    answering.finish(stream)
    await again.until("end")
    assert again.text == " and on"


async def test_kept_answer_streams_from_the_database(
    visitor: AsyncClient, answering: Answering
) -> None:
    told = await asked(visitor)
    stream = await answering.next_job()
    answering.start(stream)
    answering.say(stream, "Hello, you.")
    answering.finish(stream)
    running = running_find(message_id=uuid.UUID(told["answer_id"]))
    assert running is not None
    await running.kept
    reader = Reader(visitor, told["stream_url"], query="from=7")
    end = await reader.until("end")
    assert reader.text == "you."
    assert (end["instance"], end["job_id"]) == ("one", stream.job_id)


async def test_end_is_told_only_when_the_answer_is_kept(
    visitor: AsyncClient, answering: Answering
) -> None:
    told = await asked(visitor)
    reader = Reader(visitor, told["stream_url"])
    answering.fail(await answering.next_job())
    end = await reader.until("end")
    assert end["error"]["code"] == "instances_failed"
    assert end["allowance"]["left"] == 10
    page = (await visitor.get(told["conversation_url"])).content.decode()
    assert 'data-state="failed"' in page


async def test_other_visitors_and_nonsense_get_nothing(
    visitor: AsyncClient, answering: Answering
) -> None:
    told = await asked(visitor)
    stranger = AsyncClient()
    await asked(stranger)
    for client, url in (
        (stranger, told["stream_url"]),
        (AsyncClient(), told["stream_url"]),
        (visitor, f"/chat/streams/{uuid.uuid4()}"),
        (visitor, "/chat/streams/nonsense"),
    ):
        reader = Reader(client, url)
        await reader.task
        assert (reader.status, reader.body) == (404, b"")


async def test_user_is_known_by_session(user_client: UserClient, answering: Answering) -> None:
    user = await get_user_model().objects.acreate(email="reader@example.org")
    await user_client.sign_in(user)
    told = await asked(user_client)
    answering.finish(await answering.next_job())
    reader = Reader(user_client, told["stream_url"])
    end = await reader.until("end")
    assert end["allowance"] is None


async def test_many_readers_of_one_answer_each_get_all(
    visitor: AsyncClient, answering: Answering
) -> None:
    told = await asked(visitor)
    stream = await answering.next_job()
    answering.start(stream)
    readers = [Reader(visitor, told["stream_url"]) for _ in range(5)]
    for number in range(20):
        answering.say(stream, f"{number} ")
        await asyncio.sleep(0)
    answering.finish(stream)
    for reader in readers:
        await reader.until("end")
    assert {reader.text for reader in readers} == {stream.text}
