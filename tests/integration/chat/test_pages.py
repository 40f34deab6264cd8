"""The chat's pages over the live router: asking, refusing, stopping, owning."""

import asyncio
import re
import uuid
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import AsyncClient
from pytest_django import Settings

from apps.chat.database import in_own_thread
from apps.chat.models import Conversation, Message
from apps.chat.running import running_find
from apps.demo.gate import CookieVisitorGate
from apps.router import ports
from tests.integration.chat.conftest import JSON, Answering, UserClient

pytestmark = pytest.mark.django_db(transaction=True)


async def ask(client: AsyncClient, text: str, conversation: str = "") -> Any:
    """Ask as the page's script does."""
    form = {"text": text, "conversation": conversation}
    return await client.post("/chat/ask", form, headers=JSON)


async def kept(answer_id: str) -> Message:
    """Wait until an answer stands in the database."""
    if running := running_find(message_id=uuid.UUID(answer_id)):
        await running.kept
    return await Message.objects.select_related("conversation").aget(pk=answer_id)


@pytest.fixture
def two_a_day(settings: Settings) -> Any:
    settings.DEMO_LIMIT = "2/day"
    before = ports.visitor_gate.get()
    ports.visitor_gate.register(CookieVisitorGate())
    yield
    ports.visitor_gate.register(before)


async def test_answer_is_kept_with_its_instance(visitor: AsyncClient, answering: Answering) -> None:
    told = (await ask(visitor, "Hello?")).json()
    stream = await answering.next_job()
    assert stream.request.service_class == "demo"
    assert stream.request.sampling.temperature == 0
    assert stream.request.sampling.seed is not None
    answering.start(stream)
    answering.say(stream, "Hello, ")
    answering.say(stream, "you.")
    answering.finish(stream)
    message = await kept(told["answer_id"])
    assert (message.content, message.state) == ("Hello, you.", "complete")
    assert (message.instance_name, message.model_name, message.attempts) == ("one", "tiny", 1)
    page = (await visitor.get(told["conversation_url"])).content.decode()
    assert "Hello, you." in page
    assert f"/transparency/decisions/{stream.job_id}" in page


async def test_texts_are_encrypted_at_rest(visitor: AsyncClient, answering: Answering) -> None:
    told = (await ask(visitor, "my secret question")).json()
    answering.finish(await answering.next_job())
    await kept(told["answer_id"])

    def stored() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SELECT content FROM chat_message")
            texts = [row[0] for row in cursor.fetchall()]
            cursor.execute("SELECT title FROM chat_conversation")
            return " ".join([*texts, *(row[0] for row in cursor.fetchall())])

    assert "secret" not in await in_own_thread(stored)


async def test_conversation_so_far_goes_along(visitor: AsyncClient, answering: Answering) -> None:
    first = (await ask(visitor, "One?")).json()
    stream = await answering.next_job()
    answering.start(stream)
    answering.say(stream, "1")
    answering.finish(stream)
    await kept(first["answer_id"])
    second = (await ask(visitor, "Two?", first["conversation_id"])).json()
    assert second["conversation_url"] == first["conversation_url"]
    sent = (await answering.next_job(1)).request.messages
    assert [(turn.role, turn.content) for turn in sent] == [
        ("user", "One?"),
        ("assistant", "1"),
        ("user", "Two?"),
    ]


async def test_conversation_is_its_visitors_alone(
    visitor: AsyncClient, answering: Answering
) -> None:
    told = (await ask(visitor, "Mine?")).json()
    stranger = AsyncClient()
    assert (await stranger.get(told["conversation_url"])).status_code == 404
    assert (await ask(stranger, "Yours?", told["conversation_id"])).status_code == 404
    assert (await stranger.post("/chat/stop", {"answer": told["answer_id"]})).status_code == 404
    assert (await stranger.post(told["conversation_url"] + "delete")).status_code == 404


@pytest.mark.usefixtures("two_a_day")
async def test_limit_is_told_and_nothing_is_stored(
    visitor: AsyncClient, answering: Answering
) -> None:
    for number in range(2):
        told = (await ask(visitor, "Hello?")).json()
        assert told["allowance"]["left"] == 1 - number
        answering.finish(await answering.next_job(number))
        await kept(told["answer_id"])
    refused = await ask(visitor, "Once more?")
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "demo_limit_reached"
    assert refused.json()["error"]["offers_signup"]
    assert await Conversation.objects.acount() == 2
    plain = await visitor.post("/chat/ask", {"text": "Once <more>?"})
    assert plain.status_code == 429
    page = plain.content.decode()
    assert "Once &lt;more&gt;?</textarea>" in page
    assert '<a class="button" href="/chat/keep">' in page
    assert "0 of 2 left today" in page


async def test_failed_answer_is_given_back(visitor: AsyncClient, answering: Answering) -> None:
    told = (await ask(visitor, "Hello?")).json()
    assert told["allowance"]["left"] == 9
    answering.fail(await answering.next_job())
    message = await kept(told["answer_id"])
    assert (message.state, message.error_code) == ("failed", "instances_failed")
    page = (await visitor.get("/")).content.decode()
    assert "10 of 10 left today" in page


async def test_stop_keeps_what_there_is(visitor: AsyncClient, answering: Answering) -> None:
    told = (await ask(visitor, "Hello?")).json()
    stream = await answering.next_job()
    answering.start(stream)
    answering.say(stream, "Hel")
    stopped = await visitor.post("/chat/stop", {"answer": told["answer_id"]}, headers=JSON)
    assert stopped.status_code == 200
    message = await kept(told["answer_id"])
    assert (message.content, message.state) == ("Hel", "stopped")
    assert "9 of 10" in (await visitor.get("/")).content.decode()


async def test_stop_before_the_first_word_is_given_back(
    visitor: AsyncClient, answering: Answering
) -> None:
    told = (await ask(visitor, "Hello?")).json()
    await visitor.post("/chat/stop", {"answer": told["answer_id"]}, headers=JSON)
    await kept(told["answer_id"])
    assert "10 of 10" in (await visitor.get("/")).content.decode()


async def test_one_answer_at_a_time(visitor: AsyncClient, answering: Answering) -> None:
    told = (await ask(visitor, "Hello?")).json()
    refused = await ask(visitor, "And?")
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "answer_running"
    assert refused.json()["allowance"]["left"] == 9
    answering.finish(await answering.next_job())
    await kept(told["answer_id"])
    assert (await ask(visitor, "And?")).status_code == 201


@pytest.mark.parametrize(("text", "status"), [("  ", 400), ("x" * 8001, 413)])
async def test_question_has_bounds(
    visitor: AsyncClient, answering: Answering, text: str, status: int
) -> None:
    assert (await ask(visitor, text)).status_code == status
    assert not answering.router.gateway.streams


async def test_form_without_scripts_waits_for_the_whole_answer(
    visitor: AsyncClient, answering: Answering
) -> None:
    asked = asyncio.ensure_future(visitor.post("/chat/ask", {"text": ["Example?", ""]}))
    stream = await answering.next_job()
    answering.start(stream)
    answering.say(stream, "An <b>example</b>.")
    answering.finish(stream)
    response = await asked
    assert response.status_code == 302
    page = (await visitor.get(response["Location"])).content.decode()
    assert "Example?" in page
    assert "An &lt;b&gt;example&lt;/b&gt;." in page
    assert "http-equiv" not in page


async def test_running_answer_refreshes_itself_without_scripts(
    visitor: AsyncClient, answering: Answering
) -> None:
    told = (await ask(visitor, "Hello?")).json()
    page = (await visitor.get(told["conversation_url"])).content.decode()
    assert re.search(r"<noscript><meta http-equiv=.refresh.", page)
    assert "No instance is connected right now. You are number 1 in the queue" in page
    stream = await answering.next_job()
    answering.start(stream)
    answering.say(stream, "Hel")
    page = (await visitor.get(told["conversation_url"])).content.decode()
    assert 'data-offset="3"' in page
    assert ">Hel</div>" in page


async def test_answer_of_a_dead_process_is_shown_as_interrupted(
    visitor: AsyncClient, answering: Answering
) -> None:
    told = (await ask(visitor, "Hello?")).json()
    answering.finish(await answering.next_job())
    await kept(told["answer_id"])
    await Message.objects.filter(pk=told["answer_id"]).aupdate(state="running")
    page = (await visitor.get(told["conversation_url"])).content.decode()
    assert 'data-state="failed"' in page
    assert "interrupted" in page


async def test_users_site_asks_to_sign_in(user_client: UserClient, answering: Answering) -> None:
    page = await user_client.get("/")
    assert page.status_code == 302
    assert "/accounts/login/" in page["Location"]
    refused = await ask(user_client, "Hello?")
    assert refused.status_code == 401
    assert refused.json()["sign_in_url"].startswith("/accounts/login/")


async def test_registered_user_has_no_limit_and_a_history(
    user_client: UserClient, answering: Answering
) -> None:
    user = await get_user_model().objects.acreate(email="reader@example.org")
    await user_client.sign_in(user)
    for number in range(11):
        told = (await ask(user_client, f"Question {number}?")).json()
        assert told["allowance"] is None
        stream = await answering.next_job(number)
        assert stream.request.service_class == "registered"
        assert stream.request.requester == f"user:{user.pk}"
        answering.finish(stream)
        await kept(told["answer_id"])
    page = (await user_client.get("/history/")).content.decode()
    assert "Question 10?" in page
    gone = await user_client.post(told["conversation_url"] + "delete")
    assert gone.status_code == 302
    assert "Question 10?" not in (await user_client.get("/history/")).content.decode()
    assert (await user_client.get(told["conversation_url"])).status_code == 404


async def test_who_deletes_the_account_stops_all_its_answers(
    user_client: UserClient, answering: Answering
) -> None:
    user = await in_own_thread(get_user_model().objects.create_user, "r@example.org", "long one")
    await user_client.sign_in(user)
    streams = []
    for number in range(2):
        await ask(user_client, f"Question {number}?")
        streams.append(await answering.next_job(number))
    await user_client.post("/accounts/reauthenticate/", {"password": "long one"})
    assert (await user_client.post("/account/delete/")).status_code == 302
    for stream in streams:
        assert (await stream.wait_ended()).finish_reason == "cancelled"
    refused = await ask(user_client, "One more?")
    assert refused.status_code == 302
    assert len(answering.router.gateway.streams) == 2


async def test_deleting_stops_what_still_runs(visitor: AsyncClient, answering: Answering) -> None:
    told = (await ask(visitor, "Hello?")).json()
    stream = await answering.next_job()
    await visitor.post(told["conversation_url"] + "delete")
    assert (await stream.wait_ended()).finish_reason == "cancelled"
    running = running_find(message_id=uuid.UUID(told["answer_id"]))
    if running:
        await running.kept
    assert not await Message.objects.aexists()
