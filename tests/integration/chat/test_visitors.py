"""What bounds a visitor, what comes back, and what a refusal keeps."""

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import altcha
import pytest
from django.test import AsyncClient
from pytest_django import Settings

from apps.chat.models import Conversation
from apps.demo.gate import CookieVisitorGate
from apps.router import ports
from tests.integration.chat.conftest import JSON, Answering
from tests.integration.chat.test_pages import ask, kept
from tests.servers import free_port

pytestmark = pytest.mark.django_db(transaction=True)

UseLimits = Callable[..., None]


class Neighbour(AsyncClient):
    """A browser at an address of its own, with or without the cookie that it was given."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address

    def _base_scope(self, **request: Any) -> Any:
        scope = {**request, "client": [self.address, 5000]}
        return super()._base_scope(**scope)  # type: ignore[misc]  # the stubs leave it out


@pytest.fixture
def use_limits(settings: Settings) -> Iterator[UseLimits]:
    """Let a test set the demo's limits: `use_limits(DEMO_LIMIT="2/day")`."""
    before = ports.visitor_gate.get()

    def use(**limits: Any) -> None:
        for name, value in limits.items():
            setattr(settings, name, value)
        ports.visitor_gate.register(CookieVisitorGate())

    yield use
    ports.visitor_gate.register(before)


@pytest.fixture
def address() -> str:
    """Return an address that no other test has."""
    return f"2001:db8:{secrets.randbelow(65536):x}:{secrets.randbelow(65536):x}::1"


@pytest.fixture
def closed_port() -> int:
    """Return a port where nobody listens."""
    return free_port()


async def answered(client: AsyncClient, answering: Answering, *, known: int = 0) -> dict[str, Any]:
    """Ask something and have it answered; return what the page's script was told."""
    told: dict[str, Any] = (await ask(client, "Hello?")).json()
    stream = await answering.next_job(known)
    answering.start(stream)
    answering.say(stream, "Hello.")
    answering.finish(stream)
    await kept(told["answer_id"])
    return told


async def test_cleared_cookie_changes_nothing_for_the_address(
    answering: Answering, address: str, use_limits: UseLimits
) -> None:
    use_limits(DEMO_ADDRESS_LIMIT="2/hour")
    for number in range(2):
        await answered(Neighbour(address), answering, known=number)
    fresh = Neighbour(address)
    refused = await ask(fresh, "Once more?")
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "demo_limit_reached"
    assert "Your network" in refused.json()["error"]["message"]
    assert 3500 < int(refused["Retry-After"]) <= 3600
    page = (await fresh.get("/")).content.decode()
    assert "0 of 2 left this hour for your network" in page
    assert "the next comes back in 1 hour" in page
    assert (await ask(Neighbour("192.0.2.1"), "Elsewhere?")).status_code == 201


async def test_few_of_one_address_are_answered_at_once(
    answering: Answering, address: str, use_limits: UseLimits
) -> None:
    use_limits(DEMO_ADDRESS_RUNNING=1)
    await ask(Neighbour(address), "One?")
    refused = await ask(Neighbour(address), "Two?")
    assert (refused.status_code, refused["Retry-After"]) == (429, "5")
    assert refused.json()["error"]["code"] == "demo_busy"
    assert refused.json()["error"]["offers_signup"]


async def test_ceiling_holds_for_all_visitors(answering: Answering, use_limits: UseLimits) -> None:
    use_limits(DEMO_CEILING="0/minute")
    refused = await ask(Neighbour("192.0.2.7"), "One?")
    assert (refused.status_code, refused["Retry-After"]) == (429, "60")
    assert refused.json()["error"]["code"] == "demo_busy"


async def test_question_and_answer_of_a_visitor_are_bounded(
    visitor: AsyncClient, answering: Answering, use_limits: UseLimits
) -> None:
    use_limits(DEMO_QUESTION_CHARS=20, DEMO_ANSWER_TOKENS=7)
    refused = await ask(visitor, "x" * 21)
    assert refused.status_code == 413
    assert "at most 20 characters, with an account 8000" in refused.json()["error"]["message"]
    assert 'maxlength="20"' in (await visitor.get("/")).content.decode()
    assert (await ask(visitor, "x" * 20)).status_code == 201
    stream = await answering.next_job()
    assert stream.request.sampling.max_tokens == 7


async def test_refusal_by_the_router_costs_nothing(
    visitor: AsyncClient, answering: Answering
) -> None:
    answering.router.gateway.is_draining = True
    assert (await ask(visitor, "Hello?")).status_code >= 400
    assert "10 of 10 left today" in (await visitor.get("/")).content.decode()


async def test_refused_question_waits_with_the_conversation_until_it_is_asked(
    visitor: AsyncClient, answering: Answering, use_limits: UseLimits
) -> None:
    use_limits(DEMO_LIMIT="1/day")
    told = await answered(visitor, answering)
    await ask(visitor, "And <then>?", told["conversation_id"])
    page = (await visitor.get(told["conversation_url"])).content.decode()
    assert "And &lt;then&gt;?</textarea>" in page
    await ask(visitor, "Or elsewhere?")
    page = (await visitor.get(told["conversation_url"])).content.decode()
    assert "Or elsewhere?</textarea>" in page
    use_limits(DEMO_LIMIT="2/day")
    await ask(visitor, "Or elsewhere?", told["conversation_id"])
    page = (await visitor.get(told["conversation_url"])).content.decode()
    assert "Or elsewhere?</textarea>" not in page


async def test_refused_question_of_a_stranger_is_kept_nowhere(
    answering: Answering, address: str, use_limits: UseLimits
) -> None:
    use_limits(DEMO_LIMIT="0/day")
    assert (await ask(Neighbour(address), "Keep this.")).status_code == 429
    assert not await Conversation.objects.aexists()


def solve(challenge: dict[str, Any]) -> str:
    """Solve a challenge as the page's worker does."""
    read = altcha.Challenge.from_dict(challenge)
    solution = altcha.solve_challenge(read)
    assert solution is not None
    return altcha.Payload(read, solution).to_base64()


async def test_proof_of_work_lets_one_question_in_once(
    visitor: AsyncClient,
    answering: Answering,
    use_limits: UseLimits,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("apps.demo.proofs.secrets.randbelow", lambda most: 7)
    use_limits(DEMO_PROOF_AFTER=1)
    visitor = Neighbour(f"2001:db8:{secrets.randbelow(65536):x}::1")
    await answered(visitor, answering)
    asked = await ask(visitor, "And?")
    assert asked.status_code == 428
    assert asked.json()["error"]["code"] == "proof_needed"
    assert asked.json()["allowance"]["left"] == 9
    form = {"text": "And?", "proof": solve(asked.json()["challenge"])}
    told = await visitor.post("/chat/ask", form, headers=JSON)
    assert told.status_code == 201
    answering.fail(await answering.next_job(1))
    await kept(told.json()["answer_id"])
    again = await visitor.post("/chat/ask", form, headers=JSON)
    assert again.status_code == 428
    assert again.json()["challenge"]["parameters"]["nonce"] not in form["proof"]


async def test_without_scripts_a_proof_is_asked_for_in_words(
    visitor: AsyncClient, answering: Answering, use_limits: UseLimits
) -> None:
    use_limits(DEMO_PROOF_AFTER=0)
    refused = await visitor.post("/chat/ask", {"text": "Plain?"})
    assert refused.status_code == 428
    page = refused.content.decode()
    assert "it needs JavaScript for that" in page
    assert "Plain?</textarea>" in page


async def test_page_stands_and_refuses_while_nobody_can_count(
    visitor: AsyncClient, answering: Answering, use_limits: UseLimits, closed_port: int
) -> None:
    use_limits(REDIS_URL=f"redis://127.0.0.1:{closed_port}/0")
    page = await visitor.get("/")
    assert page.status_code == 200
    assert "left today" not in page.content.decode()
    refused = await ask(visitor, "Hello?")
    assert (refused.status_code, refused.json()["allowance"]) == (503, None)
    assert refused.json()["error"]["code"] == "router_away"
    plain = await visitor.post("/chat/ask", {"text": "Plain?"})
    assert "Plain?</textarea>" in plain.content.decode()
    assert not answering.router.gateway.streams


@pytest.mark.parametrize("cookie", ["x", "a:b:c", "x" * 30_000, '"', "\x80"])
async def test_made_up_cookie_is_a_new_visitors(answering: Answering, cookie: str) -> None:
    client = AsyncClient()
    headers = {**JSON, "Cookie": f"mf-visitor={cookie}"}
    asked = await client.post("/chat/ask", {"text": "Hello?"}, headers=headers)
    assert asked.status_code == 201
    assert asked.cookies["mf-visitor"].value
    assert asked.json()["allowance"]["left"] == 9
