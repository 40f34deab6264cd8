"""The ledger's contract, on the one in memory and on the one in Redis."""

import asyncio
import itertools
import secrets
from collections.abc import Callable
from dataclasses import replace

import pytest
import redis

from apps.demo.conf import CONF, Limit, Rules
from apps.demo.ledger import Ledger, Proof, Refused, Standings
from apps.demo.memory_ledger import MemoryLedger
from apps.demo.redis_ledger import RedisLedger
from apps.router.ports import VisitorTicket

START = 1_000_000.0
DAY_S, HOUR_S = 86_400, 3_600
RULES = Rules(
    per_visitor=Limit(3, DAY_S),
    per_network=Limit(5, HOUR_S),
    everybody=Limit(100, 60),
    running_per_network=2,
)
_serial = itertools.count()


@pytest.fixture(params=["memory", "redis"])
def make_ledger(request: pytest.FixtureRequest, redis_url: str) -> Callable[[Rules], Ledger]:
    """Make ledgers; those in Redis share its keys, which earlier tests have left there."""
    if request.param == "memory":
        return MemoryLedger
    with redis.Redis.from_url(redis_url) as client:
        client.delete("{mf-demo}:everybody")
    return lambda rules: RedisLedger(redis_url, rules)


@pytest.fixture
def ledger(make_ledger: Callable[[Rules], Ledger]) -> Ledger:
    return make_ledger(RULES)


class Visitor:
    """Somebody who asks: with a cookie and an address that nobody else in the suite has."""

    def __init__(self, ledger: Ledger, *, network: str | None = None) -> None:
        self.ledger = ledger
        self.key = secrets.token_urlsafe(8)
        self.network = network or secrets.token_urlsafe(8)

    def ticket(self, at: float) -> VisitorTicket:
        return VisitorTicket(
            id=f"{self.key}-{next(_serial)}",
            visitor_key=self.key,
            network=self.network,
            taken_at=at,
        )

    async def take(
        self, at: float = START, *, proof: Proof | None = None
    ) -> VisitorTicket | Refused:
        ticket = self.ticket(at)
        return await self.ledger.take(ticket, proof=proof) or ticket

    async def taken(self, at: float = START) -> VisitorTicket:
        found = await self.take(at)
        assert isinstance(found, VisitorTicket), found
        return found

    async def answered(self, at: float = START, count: int = 1) -> None:
        for _ in range(count):
            await self.ledger.end(await self.taken(at), is_used=True, now=at)

    async def standings(self, at: float = START) -> Standings:
        return await self.ledger.standings(visitor_key=self.key, network=self.network, now=at)

    async def counts(self, at: float = START) -> tuple[int, int]:
        """Return how many are taken: of the visitor, of the network."""
        found = await self.standings(at)
        return found.visitor.taken, found.network.taken


async def test_nobody_has_taken_anything_at_first(ledger: Ledger) -> None:
    standings = await Visitor(ledger).standings()
    assert (standings.visitor.taken, standings.visitor.first_back_at) == (0, None)
    assert (standings.network.taken, standings.network.first_back_at) == (0, None)


async def test_limit_holds_until_the_first_comes_back(ledger: Ledger) -> None:
    visitor = Visitor(ledger)
    for at in (START, START + 10, START + 20):
        await visitor.answered(at)
    assert await visitor.take(START + 30) is Refused.VISITOR_LIMIT
    standings = await visitor.standings(START + 30)
    assert (standings.visitor.taken, standings.visitor.first_back_at) == (3, START + DAY_S)
    assert await visitor.take(START + DAY_S - 1) is Refused.VISITOR_LIMIT
    await visitor.answered(START + DAY_S)
    assert await visitor.take(START + DAY_S) is Refused.VISITOR_LIMIT
    await visitor.answered(START + DAY_S + 10)


async def test_many_at_once_get_one(ledger: Ledger) -> None:
    visitor = Visitor(ledger)
    found = await asyncio.gather(*(visitor.take() for _ in range(50)))
    assert found.count(Refused.VISITOR_RUNNING) == 49
    assert await visitor.counts() == (1, 1)


async def test_new_cookies_change_nothing_for_the_network(ledger: Ledger) -> None:
    network = secrets.token_urlsafe(8)
    for _ in range(5):
        await Visitor(ledger, network=network).answered()
    fresh = Visitor(ledger, network=network)
    assert await fresh.take() is Refused.NETWORK_LIMIT
    assert await fresh.counts() == (0, 5)
    await Visitor(ledger).answered()
    await fresh.answered(START + HOUR_S)


async def test_few_of_a_network_are_answered_at_once(ledger: Ledger) -> None:
    network = secrets.token_urlsafe(8)
    first, second, third = (Visitor(ledger, network=network) for _ in range(3))
    ticket = await first.taken()
    await second.taken()
    assert await third.take() is Refused.NETWORK_RUNNING
    await ledger.end(ticket, is_used=True, now=START)
    await third.taken()


async def test_ceiling_holds_for_all(make_ledger: Callable[[Rules], Ledger]) -> None:
    ledger = make_ledger(replace(RULES, everybody=Limit(3, 60)))
    for _ in range(3):
        await Visitor(ledger).answered()
    assert await Visitor(ledger).take(START + 59) is Refused.CEILING
    await Visitor(ledger).answered(START + 60)


async def test_refused_question_takes_nothing_anywhere(ledger: Ledger) -> None:
    visitor = Visitor(ledger)
    await visitor.taken()
    for _ in range(20):
        assert await visitor.take() is Refused.VISITOR_RUNNING
    assert await visitor.counts() == (1, 1)


async def test_unused_ticket_goes_back_to_where_it_was_taken(ledger: Ledger) -> None:
    visitor = Visitor(ledger)
    await visitor.answered(START)
    ticket = await visitor.taken(START + 5)
    assert await visitor.counts(START + 6) == (2, 2)
    await ledger.end(ticket, is_used=False, now=START + 6)
    assert await visitor.counts(START + 6) == (1, 1)
    assert (await visitor.standings(START + 6)).visitor.first_back_at == START + DAY_S


async def test_unused_ticket_goes_back_to_the_ceiling_too(
    make_ledger: Callable[[Rules], Ledger],
) -> None:
    ledger = make_ledger(replace(RULES, everybody=Limit(1, 60)))
    ticket = await Visitor(ledger).taken()
    assert await Visitor(ledger).take() is Refused.CEILING
    await ledger.end(ticket, is_used=False, now=START)
    await Visitor(ledger).taken()


@pytest.mark.parametrize("is_used", [True, False])
async def test_ticket_ends_once(ledger: Ledger, *, is_used: bool) -> None:
    visitor = Visitor(ledger)
    await visitor.answered(count=2)
    ticket = await visitor.taken()
    await ledger.end(ticket, is_used=is_used, now=START)
    for again in (False, False, is_used):
        await ledger.end(ticket, is_used=again, now=START)
    count = 3 if is_used else 2
    assert await visitor.counts() == (count, count)


async def test_window_that_ended_gets_nothing_back(ledger: Ledger) -> None:
    visitor = Visitor(ledger)
    old = await visitor.taken(START)
    at = START
    while at < START + HOUR_S + 30:
        at += CONF.renew_every_s
        await ledger.renew(old, now=at)
    neighbour = Visitor(ledger, network=visitor.network)
    await neighbour.answered(at)
    assert await visitor.counts(at) == (1, 1)
    await ledger.end(old, is_used=False, now=at)
    assert await visitor.counts(at) == (0, 1)
    assert await neighbour.counts(at) == (1, 1)


async def test_used_ticket_whose_window_ended_counts_no_more(ledger: Ledger) -> None:
    visitor = Visitor(ledger)
    ticket = await visitor.taken(START)
    await ledger.end(ticket, is_used=True, now=START + HOUR_S)
    assert await visitor.counts(START + HOUR_S) == (1, 0)


async def test_ticket_of_a_dead_process_is_void_and_given_back(ledger: Ledger) -> None:
    visitor = Visitor(ledger)
    await visitor.answered(START)
    await visitor.taken(START)
    assert await visitor.take(START + CONF.lease_s - 1) is Refused.VISITOR_RUNNING
    assert await visitor.counts(START + CONF.lease_s) == (1, 1)
    await visitor.taken(START + CONF.lease_s)


async def test_ticket_of_a_dead_process_is_given_back_to_the_network_alone_as_well(
    ledger: Ledger,
) -> None:
    dead = Visitor(ledger)
    await dead.taken(START)
    neighbour = Visitor(ledger, network=dead.network)
    assert await neighbour.counts(START) == (0, 1)
    assert await neighbour.counts(START + CONF.lease_s) == (0, 0)


async def test_renewed_ticket_stays(ledger: Ledger) -> None:
    visitor = Visitor(ledger)
    ticket = await visitor.taken(START)
    for n in range(1, 20):
        await ledger.renew(ticket, now=START + n * CONF.renew_every_s)
    late = START + 19 * CONF.renew_every_s + CONF.lease_s - 1
    assert await visitor.take(late) is Refused.VISITOR_RUNNING
    assert await visitor.counts(late) == (1, 1)


async def test_void_ticket_counts_after_all_when_its_answer_came(ledger: Ledger) -> None:
    visitor = Visitor(ledger)
    ticket = await visitor.taken(START)
    at = START + CONF.lease_s + 5
    assert await visitor.counts(at) == (0, 0)
    await ledger.renew(ticket, now=at)
    await ledger.end(ticket, is_used=True, now=at)
    assert await visitor.counts(at) == (1, 1)
    await visitor.taken(at)


async def test_proof_counts_once(ledger: Ledger) -> None:
    proof = Proof(secrets.token_urlsafe(8), START + 100)
    visitor = Visitor(ledger)
    ticket = await visitor.take(proof=proof)
    assert isinstance(ticket, VisitorTicket)
    assert await Visitor(ledger).take(START + 99, proof=proof) is Refused.PROOF_USED
    await ledger.end(ticket, is_used=False, now=START)
    assert await visitor.take(START + 99, proof=proof) is Refused.PROOF_USED


async def test_proof_is_asked_for_after_so_many_answers_of_visitor_or_network(
    make_ledger: Callable[[Rules], Ledger],
) -> None:
    ledger = make_ledger(replace(RULES, proof_after=2))
    visitor = Visitor(ledger)
    await visitor.answered(count=2)
    assert await visitor.take() is Refused.PROOF_NEEDED
    fresh = Visitor(ledger, network=visitor.network)
    assert await fresh.take() is Refused.PROOF_NEEDED
    proof = Proof(secrets.token_urlsafe(8), START + 100)
    assert isinstance(await fresh.take(proof=proof), VisitorTicket)
    assert isinstance(await Visitor(ledger).take(), VisitorTicket)


async def test_nobody_who_has_nothing_left_works_for_it(
    make_ledger: Callable[[Rules], Ledger],
) -> None:
    ledger = make_ledger(replace(RULES, proof_after=0))
    visitor = Visitor(ledger)
    for _ in range(3):
        proof = Proof(secrets.token_urlsafe(8), START + 100)
        found = await visitor.take(proof=proof)
        assert isinstance(found, VisitorTicket)
        await ledger.end(found, is_used=True, now=START)
    assert await visitor.take() is Refused.VISITOR_LIMIT


async def test_nothing_is_left_in_memory_when_all_has_ended() -> None:
    ledger = MemoryLedger(RULES)
    for number in range(200):
        visitor = Visitor(ledger)
        ticket = await visitor.taken(START + number)
        await ledger.end(ticket, is_used=number % 2 == 0, now=START + number)
    assert len(ledger) > 100
    await Visitor(ledger).standings(START + 200 + DAY_S)
    assert len(ledger) == 0
