"""An answer that was cut at its limit of tokens: told at its end, and when it is opened again."""

import time
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import AsyncClient

from apps.chat.models import Message
from apps.router.core import events
from apps.router.core.values import ServedModel
from apps.router.live import runtime
from apps.router.live.streams import Ended
from tests.integration.chat.conftest import Answering, UserClient
from tests.integration.chat.test_pages import ask, kept
from tests.integration.chat.test_streams import Reader
from tests.integration.chat.test_visitors import UseLimits, use_limits

__all__ = ["use_limits"]
pytestmark = pytest.mark.django_db(transaction=True)

FOR_VISITORS = "it has reached the limit for visitors"
FOR_ALL = "it has reached the limit of its length"


async def ended(
    client: AsyncClient, answering: Answering, finish_reason: str, *, known: int = 0
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Ask something and have two tokens come before this end; return what the page was told."""
    told = (await ask(client, "Count.")).json()
    stream = await answering.next_job(known)
    answering.start(stream)
    answering.say(stream, "One, ")
    answering.say(stream, "two")
    reader = Reader(client, told["stream_url"])
    await reader.until("text")
    stream.end(Ended(finish_reason), at=time.monotonic())
    await kept(told["answer_id"])
    return told, await reader.until("end")


@pytest.fixture
def served(answering: Answering) -> None:
    """Let the router know the model; the jobs are answered by the test all the same."""
    tiny = ServedModel("tiny", 1024, 512)
    answering.router.service.handle(events.InstanceJoined("s1", "i1", "one", (tiny,), 0))


@pytest.mark.usefixtures("served")
async def test_visitor_is_told_of_the_demos_limit_and_of_longer_answers(
    visitor: AsyncClient, answering: Answering, use_limits: UseLimits
) -> None:
    use_limits(DEMO_ANSWER_TOKENS=2)
    told, end = await ended(visitor, answering, "length")
    assert (end["finish_reason"], end["can_continue"]) == ("length", False)
    assert FOR_VISITORS in end["cut"]["message"]
    assert end["cut"]["offers_signup"]
    later = await Reader(visitor, told["stream_url"]).until("end")
    assert (later["finish_reason"], later["cut"]) == ("length", end["cut"])
    page = (await visitor.get(told["conversation_url"])).content.decode()
    assert FOR_VISITORS in page
    assert "data-cut-signup>" in page
    assert 'data-state="complete"' in page


@pytest.mark.usefixtures("served")
async def test_nobody_is_promised_more_than_a_model_gives(
    visitor: AsyncClient, answering: Answering, use_limits: UseLimits
) -> None:
    use_limits(DEMO_ANSWER_TOKENS=512)
    told, end = await ended(visitor, answering, "length")
    assert FOR_ALL in end["cut"]["message"]
    assert not end["cut"]["offers_signup"]
    page = (await visitor.get(told["conversation_url"])).content.decode()
    assert FOR_ALL in page
    assert "data-cut-signup hidden>" in page


async def test_cut_answer_is_kept_also_by_a_process_that_stops(
    visitor: AsyncClient, answering: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = (await ask(visitor, "Count.")).json()
    stream = await answering.next_job()
    answering.start(stream)
    answering.say(stream, "One")
    monkeypatch.setattr(runtime, "_running", None)
    stream.end(Ended("length"), at=time.monotonic())
    message = await kept(told["answer_id"])
    assert (message.state, message.content, message.cut_by) == ("complete", "One", "model")


async def test_finished_answer_is_not_said_to_be_cut(
    visitor: AsyncClient, answering: Answering
) -> None:
    told, end = await ended(visitor, answering, "stop")
    assert (end["finish_reason"], end["cut"]) == ("stop", None)
    page = (await visitor.get(told["conversation_url"])).content.decode()
    assert "was cut here" not in page


async def test_only_the_last_answer_can_be_gone_on_with(
    visitor: AsyncClient, answering: Answering
) -> None:
    told, _ = await ended(visitor, answering, "length")
    page = (await visitor.get(told["conversation_url"])).content.decode()
    assert "data-cut-ways>" in page
    asking = (await ask(visitor, "Go on.", told["conversation_id"])).json()
    stream = await answering.next_job(1)
    assert [turn.content for turn in stream.request.messages] == ["Count.", "One, two", "Go on."]
    answering.finish(stream)
    await kept(asking["answer_id"])
    page = (await visitor.get(told["conversation_url"])).content.decode()
    assert FOR_ALL in page
    assert "data-cut-ways>" not in page


@pytest.mark.usefixtures("served")
async def test_registered_user_is_offered_no_account(
    user_client: UserClient, answering: Answering
) -> None:
    user = await get_user_model().objects.acreate(email="reader@example.org")
    await user_client.sign_in(user)
    told, end = await ended(user_client, answering, "length")
    assert FOR_ALL in end["cut"]["message"]
    await Message.objects.filter(pk=told["answer_id"]).aupdate(cut_by="demo")  # a visitor's, kept
    page = (await user_client.get(told["conversation_url"])).content.decode()
    assert FOR_ALL in page
    assert "data-cut-signup>" not in page
