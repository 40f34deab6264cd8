"""An answer that broke off: kept, told, and continued in the same message."""

import asyncio
import uuid
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import AsyncClient

from apps.chat.models import Message
from apps.chat.running import running_find
from apps.router.core import events
from apps.router.core.values import ServedModel
from apps.router.errors import ErrorCode
from apps.router.live.runtime import LiveRouter
from tests.integration.chat.conftest import JSON, Answering, UserClient
from tests.integration.chat.test_pages import ask, kept
from tests.integration.chat.test_streams import Reader

pytestmark = pytest.mark.django_db(transaction=True)


async def broken_off(
    client: AsyncClient, answering: Answering, text: str = "Once upon 🙂", *, known: int = 0
) -> dict[str, Any]:
    """Ask something; the answer breaks off after this text."""
    told: dict[str, Any] = (await ask(client, "Tell me a story.")).json()
    stream = await answering.next_job(known)
    answering.start(stream)
    if text:
        answering.say(stream, text)
    answering.fail(stream, ErrorCode.ANSWER_INTERRUPTED)
    await kept(told["answer_id"])
    return told


async def go_on(client: AsyncClient, answer_id: str) -> Any:
    """Press "Continue" as the page's script does."""
    return await client.post("/chat/continue", {"answer": answer_id}, headers=JSON)


async def test_partial_answer_is_kept_and_continued_in_the_same_message(
    visitor: AsyncClient, answering: Answering
) -> None:
    told = await broken_off(visitor, answering)
    page = (await visitor.get(told["conversation_url"])).content.decode()
    assert "Once upon 🙂" in page
    assert "What has come is kept" in page
    assert "data-continue>" in page
    going = await go_on(visitor, told["answer_id"])
    assert going.status_code == 201
    assert (going.json()["answer_id"], going.json()["offset"]) == (told["answer_id"], 11)
    stream = await answering.next_job(1)
    assert stream.request.beginning == stream.text == "Once upon 🙂"
    assert [turn.content for turn in stream.request.messages] == ["Tell me a story."]
    reader = Reader(visitor, told["stream_url"], query="from=11")
    answering.start(stream)
    answering.say(stream, " a time.")
    page = (await visitor.get(told["conversation_url"])).content.decode()
    assert "Once upon 🙂 a time." in page
    answering.finish(stream)
    end = await reader.until("end")
    assert (reader.text, end["can_continue"]) == (" a time.", False)
    message = await kept(told["answer_id"])
    assert (message.content, message.state) == ("Once upon 🙂 a time.", "complete")
    assert (message.error_code, message.job_id) == ("", stream.job_id)
    page = (await visitor.get(told["conversation_url"])).content.decode()
    for job_id in (told["job_id"], stream.job_id):
        assert page.count(f'href="/transparency/decisions/{job_id}"') == 1
    assert await Message.objects.acount() == 2
    assert (await go_on(visitor, told["answer_id"])).status_code == 404


async def test_end_of_a_broken_answer_offers_to_continue(
    visitor: AsyncClient, answering: Answering
) -> None:
    told = await broken_off(visitor, answering)
    end = await Reader(visitor, told["stream_url"]).until("end")
    assert end["can_continue"]
    assert "Continue" in end["error"]["message"]
    silent = await broken_off(visitor, answering, "", known=1)
    end = await Reader(visitor, silent["stream_url"]).until("end")
    assert not end["can_continue"]
    assert (await go_on(visitor, silent["answer_id"])).status_code == 404


async def test_continuation_that_fails_keeps_all_and_can_be_continued_again(
    visitor: AsyncClient, answering: Answering
) -> None:
    told = await broken_off(visitor, answering)
    for number, piece in enumerate((" a", "", " time"), start=1):
        assert (await go_on(visitor, told["answer_id"])).status_code == 201
        stream = await answering.next_job(number)
        if piece:
            answering.start(stream)
            answering.say(stream, piece)
        answering.fail(stream, ErrorCode.ANSWER_INTERRUPTED)
        message = await kept(told["answer_id"])
    assert (message.content, message.state) == ("Once upon 🙂 a time", "failed")
    assert (message.instance_name, message.attempts) == ("one", 1)
    jobs = [stream.job_id for stream in answering.router.gateway.streams.values()]
    assert [*message.earlier_job_ids.split(), message.job_id] == jobs


async def test_demo_pays_for_the_whole_answer_once(
    visitor: AsyncClient, answering: Answering
) -> None:
    told = await broken_off(visitor, answering)
    assert "10 of 10 left" in (await visitor.get("/")).content.decode()
    going = (await go_on(visitor, told["answer_id"])).json()
    assert going["allowance"]["left"] == 9
    stopped = await visitor.post("/chat/stop", {"answer": told["answer_id"]}, headers=JSON)
    assert stopped.status_code == 200
    message = await kept(told["answer_id"])
    assert (message.content, message.state) == ("Once upon 🙂", "stopped")
    assert "10 of 10 left" in (await visitor.get("/")).content.decode()


async def test_stopped_answer_is_continued_as_well(
    visitor: AsyncClient, answering: Answering
) -> None:
    told = (await ask(visitor, "Tell me a story.")).json()
    stream = await answering.next_job()
    answering.start(stream)
    answering.say(stream, "Once")
    await visitor.post("/chat/stop", {"answer": told["answer_id"]}, headers=JSON)
    end = await Reader(visitor, told["stream_url"]).until("end")
    assert (end["finish_reason"], end["error"], end["can_continue"]) == ("cancelled", None, True)
    assert "data-continue>" in (await visitor.get(told["conversation_url"])).content.decode()
    assert (await go_on(visitor, told["answer_id"])).status_code == 201
    last = await answering.next_job(1)
    answering.start(last)
    answering.say(last, " upon.")
    answering.finish(last)
    end = await Reader(visitor, told["stream_url"], query="from=4").until("end")
    assert (end["finish_reason"], end["can_continue"]) == ("stop", False)
    assert (await kept(told["answer_id"])).content == "Once upon."


async def test_only_the_last_answer_of_its_owner_is_continued(
    visitor: AsyncClient, answering: Answering
) -> None:
    told = await broken_off(visitor, answering)
    stranger = AsyncClient()
    await ask(stranger, "Mine?")
    assert (await go_on(stranger, told["answer_id"])).status_code == 404
    assert (await go_on(visitor, str(uuid.uuid4()))).status_code == 404
    await ask(visitor, "And?", told["conversation_id"])
    assert (await go_on(visitor, told["answer_id"])).status_code == 404


async def test_where_nobody_can_continue_it_is_refused_and_nothing_changes(
    visitor: AsyncClient, answering: Answering, router: LiveRouter
) -> None:
    told = await broken_off(visitor, answering)
    beginner = ServedModel("tiny", 1024, 512)
    router.service.handle(events.InstanceJoined("s1", "i1", "one", (beginner,), 2))
    refused = await go_on(visitor, told["answer_id"])
    assert refused.status_code == 502
    assert "No connected instance can go on" in refused.json()["error"]["message"]
    assert refused.json()["allowance"]["left"] == 10
    assert len(router.gateway.streams) == 1
    assert (await kept(told["answer_id"])).state == "failed"
    plain = await visitor.post("/chat/continue", {"answer": told["answer_id"]})
    assert "No connected instance can go on" in plain.content.decode()


async def test_registered_user_continues_without_scripts(
    user_client: UserClient, answering: Answering
) -> None:
    user = await get_user_model().objects.acreate(email="reader@example.org")
    await user_client.sign_in(user)
    told = await broken_off(user_client, answering)
    going = await go_on(user_client, told["answer_id"])
    assert going.json()["allowance"] is None
    again = await go_on(user_client, told["answer_id"])
    assert again.status_code == 404  # it runs
    stream = await answering.next_job(1)
    answering.start(stream)
    answering.fail(stream, ErrorCode.ANSWER_INTERRUPTED)
    running = running_find(message_id=uuid.UUID(told["answer_id"]))
    if running is not None:
        await running.kept
    plain = asyncio.ensure_future(user_client.post("/chat/continue", {"answer": told["answer_id"]}))
    last = await answering.next_job(2)
    answering.start(last)
    answering.say(last, ".")
    answering.finish(last)
    assert (await plain)["Location"] == told["conversation_url"]
    page = (await user_client.get(told["conversation_url"])).content.decode()
    assert ">Once upon 🙂.</div>" in page
