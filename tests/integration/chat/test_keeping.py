"""A visitor's conversations come to an account, by a link that is good once and for a day."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth import get_user_model
from django.core import signing
from django.test import AsyncClient

from apps.chat.conf import CONF
from apps.chat.models import Conversation
from tests.integration.chat.conftest import JSON, Answering, UserClient
from tests.integration.chat.test_pages import ask, kept
from tests.integration.chat.test_streams import Reader

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def user(user_client: UserClient) -> Any:
    found = await get_user_model().objects.acreate(email="reader@example.org")
    await user_client.sign_in(found)
    return found


async def finished(answering: Answering, told: dict[str, Any], *, known: int) -> None:
    """Let the job after the first `known` ones be answered."""
    stream = await answering.next_job(known)
    answering.start(stream)
    answering.say(stream, "Hello.")
    answering.finish(stream)
    await kept(told["answer_id"])


async def keep_url(
    visitor: AsyncClient, link: str = "/chat/keep", leads_to: str = "/accounts/signup/"
) -> str:
    """Follow a link of the page's; return where the sign-up or the sign-in leads to afterwards."""
    led = await visitor.get(link)
    assert led.status_code == 302
    parts = urlsplit(led["Location"])
    assert parts.netloc.startswith("user.")
    assert parts.path == leads_to
    [url] = parse_qs(parts.query)["next"]
    return url


async def test_conversations_come_to_whoever_has_the_link(
    visitor: AsyncClient, user_client: UserClient, user: Any, answering: Answering
) -> None:
    first = (await ask(visitor, "First?")).json()
    await finished(answering, first, known=0)
    second = (await ask(visitor, "Second <b>?")).json()
    await finished(answering, second, known=1)
    page = (await visitor.get(second["conversation_url"])).content.decode()
    assert 'href="/chat/keep"' in page
    assert '<a class="button" href="/chat/keep">Sign up</a>' in page
    url = await keep_url(visitor)
    offer = await user_client.get(url)
    assert offer.status_code == 200
    assert "Keep 2 conversations" in offer.content.decode()
    assert "Second &lt;b&gt;?" in offer.content.decode()
    assert await Conversation.objects.filter(owner=user).acount() == 0
    done = await user_client.post(url)
    assert (done.status_code, done["Location"]) == (302, second["conversation_url"])
    assert "Hello." in (await user_client.get(done["Location"])).content.decode()
    assert "First?" in (await user_client.get("/history/")).content.decode()
    assert (await visitor.get(second["conversation_url"])).status_code == 404


async def test_signing_in_by_the_header_offers_the_same(
    visitor: AsyncClient, user_client: UserClient, user: Any, answering: Answering
) -> None:
    page = (await visitor.get("/")).content.decode()
    assert '<a href="/chat/sign-in">Sign in</a>' in page
    led = await visitor.get("/chat/sign-in")
    assert led["Location"] == "http://user.motherfluxer.localhost/accounts/login/"
    await finished(answering, (await ask(visitor, "First?")).json(), known=0)
    url = await keep_url(visitor, "/chat/sign-in", "/accounts/login/")
    # Who is signed in there already comes straight to the offer.
    led = await user_client.get("/accounts/login/", {"next": url})
    assert led["Location"] == url
    assert "Keep 1 conversation" in (await user_client.get(url)).content.decode()
    assert (await user_client.get("/chat/sign-in"))["Location"] == "/"


async def test_link_is_good_once(
    visitor: AsyncClient, user_client: UserClient, user: Any, answering: Answering
) -> None:
    told = (await ask(visitor, "First?")).json()
    await finished(answering, told, known=0)
    url = await keep_url(visitor)
    assert (await user_client.post(url)).status_code == 302
    told = (await ask(visitor, "Later?")).json()
    await finished(answering, told, known=1)
    for answer in (await user_client.get(url), await user_client.post(url)):
        assert answer.status_code == 410
        assert "There is nothing to keep" in answer.content.decode()
    assert (await visitor.get(told["conversation_url"])).status_code == 200


async def test_link_is_good_for_a_day(
    visitor: AsyncClient,
    user_client: UserClient,
    user: Any,
    answering: Answering,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await finished(answering, (await ask(visitor, "First?")).json(), known=0)
    url = await keep_url(visitor)
    later = (datetime.now(UTC) + timedelta(seconds=CONF.keep_token_s + 2)).timestamp()
    monkeypatch.setattr("django.core.signing.time.time", lambda: later)
    assert (await user_client.get(url)).status_code == 410


FORGED = [
    "x",
    "a:b:c",
    "A" * 5000,
    signing.dumps(["somebody", 2_000_000_000.0], salt="another"),
    signing.dumps(["somebody", 2_000_000_000.0], key="another", salt="apps.chat.keeping"),
]


@pytest.mark.parametrize("token", FORGED)
async def test_forged_link_finds_nothing(
    user_client: UserClient, user: Any, answering: Answering, token: str
) -> None:
    for answer in (
        await user_client.get(f"/chat/keep/{token}"),
        await user_client.post(f"/chat/keep/{token}"),
    ):
        assert answer.status_code == 410


async def test_link_asks_to_sign_in_and_comes_back(
    visitor: AsyncClient, user_client: UserClient, answering: Answering
) -> None:
    await finished(answering, (await ask(visitor, "First?")).json(), known=0)
    url = await keep_url(visitor)
    led = await user_client.get(url)
    assert led.status_code == 302
    assert parse_qs(urlsplit(led["Location"]).query)["next"] == [url]
    assert (await visitor.get(url)).status_code == 404


async def test_who_has_asked_nothing_just_signs_up(
    visitor: AsyncClient, user_client: UserClient, user: Any, answering: Answering
) -> None:
    led = await visitor.get("/chat/keep")
    assert urlsplit(led["Location"]).query == ""
    assert (await user_client.get("/chat/keep"))["Location"] == "/"


async def test_answer_that_still_runs_goes_on_in_the_account(
    visitor: AsyncClient, user_client: UserClient, user: Any, answering: Answering
) -> None:
    told = (await ask(visitor, "First?")).json()
    stream = await answering.next_job()
    answering.start(stream)
    answering.say(stream, "Hel")
    await user_client.post(await keep_url(visitor))
    page = (await user_client.get(told["conversation_url"])).content.decode()
    assert re.search(r'data-state="running"', page)
    reader = Reader(user_client, told["stream_url"])
    await reader.until("text")
    answering.say(stream, "lo.")
    stopped = await user_client.post("/chat/stop", {"answer": told["answer_id"]}, headers=JSON)
    assert stopped.status_code == 200
    end = await reader.until("end")
    assert (reader.text, end["allowance"]) == ("Hello.", None)
    stranger = UserClient()
    await stranger.sign_in(await get_user_model().objects.acreate(email="other@example.org"))
    assert (await stranger.post("/chat/stop", {"answer": told["answer_id"]})).status_code == 404
