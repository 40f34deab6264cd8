"""The two ledgers say the same, whatever happens in whatever order."""

import asyncio
import secrets
from typing import Any

import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.demo.conf import CONF, Limit, Rules
from apps.demo.ledger import Ledger, Proof
from apps.demo.memory_ledger import MemoryLedger
from apps.demo.redis_ledger import RedisLedger
from apps.router.ports import VisitorTicket

RULES = Rules(
    per_visitor=Limit(3, 200),
    per_network=Limit(4, 100),
    everybody=Limit(6, 50),
    running_per_network=2,
    proof_after=2,
)
VISITORS, NETWORKS, PROOFS = ("ann", "bob", "eve"), ("home", "school"), ("", "p1", "p2")
WAITS_S = (0.0, 0.0, 1.0, CONF.renew_every_s, CONF.lease_s, 49.5, 100.0)

WHO = st.tuples(st.sampled_from(VISITORS), st.sampled_from(NETWORKS))
STEPS = st.one_of(
    st.tuples(st.just("take"), WHO, st.sampled_from(PROOFS)),
    st.tuples(st.just("end"), st.integers(0, 20), st.booleans()),
    st.tuples(st.just("renew"), st.integers(0, 20)),
    st.tuples(st.just("wait"), st.sampled_from(WAITS_S)),
)


async def course_of(ledger: Ledger, steps: list[tuple[Any, ...]], run: str) -> list[Any]:
    """Do the steps, and note after each what it brought and how it stands with everybody."""
    now, tickets, course = 1_000_000.0, [], []
    for number, (kind, *details) in enumerate(steps):
        told: Any = None
        if kind == "wait":
            now += details[0]
        elif kind == "take":
            (visitor, network), proof = details
            ticket = VisitorTicket(
                id=f"{run}-{number}", visitor_key=run + visitor, network=run + network, taken_at=now
            )
            named = Proof(run + proof, now + 120) if proof else None
            told = await ledger.take(ticket, proof=named)
            if told is None:
                tickets.append(ticket)
        elif tickets:
            ticket = tickets[details[0] % len(tickets)]
            if kind == "end":
                await ledger.end(ticket, is_used=details[1], now=now)
            else:
                await ledger.renew(ticket, now=now)
        course.append((told, [await standings(ledger, run, one, now) for one in range(3)]))
    return course


async def standings(ledger: Ledger, run: str, number: int, now: float) -> Any:
    visitor, network = VISITORS[number], NETWORKS[number % 2]
    return await ledger.standings(visitor_key=run + visitor, network=run + network, now=now)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=5, max_size=40))
def test_ledgers_agree(redis_url: str, steps: list[tuple[Any, ...]]) -> None:
    run = secrets.token_urlsafe(6)
    with redis.Redis.from_url(redis_url) as client:
        client.delete("{mf-demo}:everybody")
    in_memory = asyncio.run(course_of(MemoryLedger(RULES), steps, run))
    in_redis = asyncio.run(course_of(RedisLedger(redis_url, RULES), steps, run))
    assert in_memory == in_redis
