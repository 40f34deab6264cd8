"""Answers that another web process keeps: read, stopped, deleted, claimed and taken over here."""

import asyncio
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from asgiref.sync import sync_to_async
from django.test import AsyncClient
from pytest_django import Settings

from apps.chat import claims as claims_module
from apps.chat import running
from apps.chat.answers import ChatKeeper
from apps.chat.claims import Claim, RedisClaims
from apps.chat.conf import CONF
from apps.chat.models import Message
from apps.chat.running import running_find
from apps.router.live.runtime import LiveRouter
from apps.router.live.streams import JobStream
from tests.integration.chat.conftest import JSON, Answering
from tests.integration.chat.test_pages import ask, kept
from tests.integration.chat.test_streams import Reader
from tests.servers import running_valkey

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder, running_valkey(Path(folder)) as url:
        yield url


@pytest.fixture
def apart(settings: Settings, redis_url: str) -> Iterator[str]:
    settings.ROUTER_APART = True
    settings.REDIS_URL = redis_url
    yield redis_url
    client = redis.Redis.from_url(redis_url)
    client.flushall()
    client.close()
    claims_module._claims_at.cache_clear()


async def asked_elsewhere(client: AsyncClient, answering: Answering) -> tuple[Any, JobStream]:
    """Ask, and let this process know nothing of it: as if another one had been asked.

    Its stream is still to be had by `job_follow`.
    """
    told = (await ask(client, "Hello?")).json()
    stream = await answering.next_job()
    found = running._answers.pop(uuid.UUID(told["answer_id"]))
    assert found.stream is stream
    told["kept"] = found.kept
    return told, stream


async def test_answer_of_another_process_is_read_to_its_end(
    visitor: AsyncClient, answering: Answering, apart: str
) -> None:
    told, stream = await asked_elsewhere(visitor, answering)
    answering.start(stream)
    answering.say(stream, "Hel")
    page = (await visitor.get(told["conversation_url"])).content.decode()
    assert 'data-state="running"' in page
    assert ">Hel</div>" in page
    reader = Reader(visitor, told["stream_url"], query="from=1")
    await reader.until("text")
    answering.say(stream, "lo.")
    answering.finish(stream)
    end = await reader.until("end")
    assert reader.text == "ello."
    assert (end["finish_reason"], end["instance"], end["error"]) == ("stop", "one", None)
    page = (await visitor.get(told["conversation_url"])).content.decode()
    assert 'data-state="complete"' in page


async def test_answer_of_another_process_is_stopped_and_its_conversation_deleted(
    visitor: AsyncClient, answering: Answering, apart: str
) -> None:
    told, stream = await asked_elsewhere(visitor, answering)
    answering.start(stream)
    answering.say(stream, "Hel")
    form = {"answer": told["answer_id"]}
    assert (await AsyncClient().post("/chat/stop", form, headers=JSON)).status_code == 404
    assert (await visitor.post("/chat/stop", form, headers=JSON)).status_code == 200
    message = await Message.objects.aget(pk=told["answer_id"])
    assert (message.state, message.content) == ("stopped", "Hel")
    assert (await visitor.post("/chat/stop", form, headers=JSON)).status_code == 404
    told = (await ask(visitor, "And?", told["conversation_id"])).json()
    stream = await answering.next_job(1)
    keeping = running._answers.pop(uuid.UUID(told["answer_id"])).kept
    url = told["conversation_url"] + "delete"
    assert (await visitor.post(url)).status_code == 302
    await keeping
    assert stream.ended is not None
    assert stream.ended.finish_reason == "cancelled"


async def test_conversation_has_one_answer_under_way_in_all_processes(
    visitor: AsyncClient, answering: Answering, apart: str
) -> None:
    told, stream = await asked_elsewhere(visitor, answering)
    conversation = told["conversation_id"]
    other = RedisClaims(apart)
    assert not await other.take(conversation, "other")
    answering.finish(stream)
    await told["kept"]
    assert await other.take(conversation, "other")
    refused = await ask(visitor, "And?", conversation)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "answer_running")
    await other.release(conversation, "somebody else")
    assert await other.is_held(conversation)
    await other.release(conversation, "other")
    assert (await ask(visitor, "And?", conversation)).status_code == 201
    answering.finish(await answering.next_job(1))


async def test_claim_ends_with_its_process_and_outlives_a_redis_that_forgets(
    apart: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims_module, "CONF", replace(CONF, claim_s=0.5, claim_renew_s=0.05))
    conversation = uuid.uuid4()
    first = Claim(conversation)
    assert await first.take()
    await sync_to_async(redis.Redis.from_url(apart).flushall)()
    other = RedisClaims(apart)
    async with asyncio.timeout(20):
        while not await other.is_held(str(conversation)):  # noqa: ASYNC110  # Redis tells nobody
            await asyncio.sleep(0.02)
    first.leave()  # nobody keeps it up any more
    async with asyncio.timeout(20):
        while not await other.take(str(conversation), "other"):  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.02)
    other.leave(str(conversation), "other")


async def test_answer_that_nobody_has_any_more_was_interrupted(
    visitor: AsyncClient, answering: Answering, apart: str, router: LiveRouter
) -> None:
    told, stream = await asked_elsewhere(visitor, answering)
    told["kept"].cancel()  # its process is killed
    del router.gateway.streams[stream.job_id]
    url = told["conversation_url"]
    assert 'data-state="running"' in (await visitor.get(url)).content.decode()
    reader = Reader(visitor, told["stream_url"])
    await sync_to_async(redis.Redis.from_url(apart).flushall)()
    claims_module.claims().leave(told["conversation_id"], _holder(told))
    page = (await visitor.get(url)).content.decode()
    assert 'data-state="failed"' in page
    assert "The answer was interrupted. Ask again." in page
    end = await reader.until("end")
    assert end["error"]["code"] == "answer_interrupted"


def _holder(told: Any) -> str:
    claims = claims_module.claims()
    assert isinstance(claims, RedisClaims)
    return claims._held[told["conversation_id"]]


async def test_answer_is_adopted_and_kept_as_its_first_process_would_have(
    visitor: AsyncClient, answering: Answering, apart: str
) -> None:
    told, stream = await asked_elsewhere(visitor, answering)
    told["kept"].cancel()
    answering.start(stream)
    answering.say(stream, "Hello.")
    assert await ChatKeeper().adopt(stream)
    assert (await ask(visitor, "And?", told["conversation_id"])).status_code == 429
    reader = Reader(visitor, told["stream_url"])
    await reader.until("text")
    answering.finish(stream)
    assert (await reader.until("end"))["finish_reason"] == "stop"
    message = await kept(told["answer_id"])
    assert (message.content, message.state, message.model_label) == ("Hello.", "complete", "tiny")
    assert not await ChatKeeper().adopt(stream)


async def test_answer_that_moves_away_is_left_to_the_other_process(
    visitor: AsyncClient, answering: Answering, apart: str
) -> None:
    told = (await ask(visitor, "Hello?")).json()
    stream = await answering.next_job()
    answering.start(stream)
    answering.say(stream, "Hel")
    live = running_find(message_id=uuid.UUID(told["answer_id"]))
    assert live is not None
    reader = Reader(visitor, told["stream_url"])
    await reader.until("text")
    stream.move_away()
    await reader.task
    await live.kept
    assert reader.is_over
    assert [name for name, _ in reader.events] == ["started", "text"]
    assert (await Message.objects.aget(pk=told["answer_id"])).state == "running"
    assert await RedisClaims(apart).is_held(told["conversation_id"])
