"""Letters between processes over a real Redis that is killed, and comes back without its data."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from apps.router.apart import keys
from apps.router.apart.connection import redis_connected
from apps.router.apart.keys import INBOX_KEPT_S
from apps.router.apart.lease import Lease
from apps.router.apart.letter_codec import encode_letter
from apps.router.apart.numbering import batch_payload
from apps.router.apart.post import Post
from apps.router.apart.router_post import RouterPost, Writing
from apps.router.core import effects, events, letters
from apps.router.core.effects import Effect
from apps.router.core.letters import Between
from motherfluxer_wire.frames import Chunk
from tests.servers import Server, running_valkey_server


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Server]:
    with running_valkey_server(tmp_path) as server:
        yield server


class Box:
    """A gateway's post and all that came to it."""

    def __init__(self, url: str, gateway_id: str) -> None:
        self.post = Post(redis_url=url, gateway_id=gateway_id)
        self.effects: list[Effect] = []
        self.between: list[tuple[str, Between]] = []
        self.post.inbox.receive_effects = self.effects.extend
        self.post.inbox.receive_between = lambda source, found: self.between.extend(
            (source, letter) for letter in found
        )

    def tell(self, gateway_id: str, *job_ids: str) -> None:
        """Send another gateway a letter about each job."""
        for job_id in job_ids:
            cancel = letters.CancelToLink(f"{gateway_id}.1", job_id, 1, "why")
            self.post.tell_gateway(gateway_id, cancel)

    @property
    def job_ids(self) -> list[str]:
        """The jobs that letters of other gateways came about, in order."""
        return [letter.job_id for _, letter in self.between]  # type: ignore[attr-defined]


@asynccontextmanager
async def boxes(url: str, *names: str) -> AsyncIterator[list[Box]]:
    found = [Box(url, name) for name in names]
    for box in found:
        await box.post.start()
    try:
        yield found
    finally:
        for box in found:
            await box.post.stop(within_s=5.0)


async def until(is_so: Callable[[], bool], what: str) -> None:
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110 # what comes from Redis has no event here
            await asyncio.sleep(0.01)


def place(number: int) -> effects.ShowPlace:
    return effects.ShowPlace(f"j{number}", number, number, 1)


async def test_more_text_waits_for_company_and_nothing_else_does(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TEXT_EVERY_S", "ALIVE_EVERY_S"):  # a sign of life takes along what waits
        monkeypatch.setattr(f"apps.router.apart.post.{name}", 3600.0)

    def text(seq: int) -> letters.FromLink:
        return letters.FromLink("a.1", Chunk("j", 1, seq, "text", 1))

    async with boxes(valkey.url, "b") as [other]:
        async with boxes(valkey.url, "a") as [one]:
            one.post.tell_gateway("b", text(0))
            await until(lambda: len(other.between) == 1, "the first text")
            one.post.tell_gateway("b", text(1))
            one.post.tell_gateway("b", text(2))
            await asyncio.sleep(0.2)
            assert len(other.between) == 1
            one.tell("b", "j")
            await until(lambda: len(other.between) == 4, "all of it")
            one.post.tell_gateway("b", text(3))
        await until(lambda: len(other.between) == 5, "what waited when it stopped")
    last = letters.CancelToLink("b.1", "j", 1, "why")
    assert [letter for _, letter in other.between] == [*map(text, range(3)), last, text(3)]


async def test_letters_arrive_once_in_order_though_redis_loses_its_data(valkey: Server) -> None:
    count = 400
    async with boxes(valkey.url, "a", "b") as (one, other):
        for number in range(count):
            one.tell("b", f"j{number}")
            if number in (100, 250):
                valkey.kill9()
            if number in (150, 300):
                valkey.start()
            await asyncio.sleep(0.003)
        await until(lambda: len(other.between) >= count, "all there")
        assert other.job_ids == [f"j{n}" for n in range(count)]
        assert {source for source, _ in other.between} == {"a"}


@pytest.mark.parametrize("knows_of_it", [True, False])
async def test_a_gateway_that_was_taken_for_dead_hears_the_others_again(
    valkey: Server, knows_of_it: bool
) -> None:
    async with boxes(valkey.url, "a", "b") as (one, other):
        one.tell("b", "j0", "j1", "j2")
        await until(lambda: len(other.between) == 3, "heard before")
        one.post.forget("b")
        if knows_of_it:
            other.post.forget("b")
        one.tell("b", "j3", "j4")
        await until(lambda: len(other.between) == 5, "heard again")
        assert other.job_ids == ["j0", "j1", "j2", "j3", "j4"]


async def test_what_one_that_was_taken_for_dead_writes_again_is_not_heard_again(
    valkey: Server,
) -> None:
    async with boxes(valkey.url, "a", "b") as (one, other):
        one.tell("b", "j0", "j1", "j2")
        await until(lambda: len(other.between) == 3, "heard before")
        other.post.forget("a")
        valkey.kill9()
        valkey.start()
        one.tell("b", "j3")
        await until(lambda: len(other.between) >= 4, "heard again")
        assert other.job_ids == ["j0", "j1", "j2", "j3"]


async def test_the_router_hears_all_gateways_and_is_heard(valkey: Server) -> None:
    async with boxes(valkey.url, "a") as (box,), redis_connected(valkey.url) as redis:
        router, lease = RouterPost(redis), Lease(redis, name="r1", lasts_ms=5000)
        token = await lease.take()
        assert token is not None
        box.post.tell_router(events.JobCancelled("j1", "left"))
        [entry] = await router.read("0", block_ms=2000)
        assert (entry.source, entry.first) == ("a", 0)
        assert entry.letters == [events.JobCancelled("j1", "left")]
        payload = batch_payload([encode_letter(place(n)) for n in range(3)])
        writing = Writing(effects=[("a", 0, payload)], own=batch_payload([]))
        assert await router.write(lease.mark(token), token, writing)
        assert await router.write(lease.mark(token), token, writing), "once more, as in a takeover"
        await until(lambda: len(box.effects) >= 3, "effects there")
        assert box.effects == [place(n) for n in range(3)]


async def test_a_router_that_lost_its_lease_writes_nothing(valkey: Server) -> None:
    async with redis_connected(valkey.url) as redis:
        router = RouterPost(redis)
        old, new = (Lease(redis, name=name, lasts_ms=60_000) for name in ("r1", "r2"))
        first = await old.take()
        assert first is not None
        assert await new.take() is None
        assert await new.holder() == "r1"
        await old.give_up(first)
        second = await new.take()
        assert second is not None
        assert second > first
        assert not await old.renew(first)
        writing = Writing(
            effects=[("a", 0, batch_payload([encode_letter(place(1))]))], snapshot=b"old", own=b"x"
        )
        assert not await router.write(old.mark(first), first, writing)
        assert await redis.keys("mf:in:*") == []
        assert await router.snapshot() is None
        await old.give_up(first)
        assert await new.renew(second)


async def test_a_router_that_was_deposed_is_not_obeyed(valkey: Server) -> None:
    async with boxes(valkey.url, "a") as (box,), redis_connected(valkey.url) as redis:
        for token, number in ((7, 0), (9, 1), (8, 2), (9, 2)):
            payload = batch_payload([encode_letter(place(10 * token + number))])
            fields = {"s": "router", "t": str(token), "n": str(number), "b": payload}
            await redis.xadd("mf:in:a", fields)
        await until(lambda: len(box.effects) >= 3, "effects there")
        assert box.effects == [place(70), place(91), place(92)]


async def test_a_gateway_that_is_silent_says_that_it_lives(valkey: Server) -> None:
    async with boxes(valkey.url, "a"), redis_connected(valkey.url) as redis:
        [entry] = await RouterPost(redis).read("0", block_ms=4000)
        assert entry.letters == [letters.GatewayAlive()]
        assert await redis.ttl("mf:in:a") in (-2, *range(1, 121))


async def ends_by_itself(url: str, inbox: str) -> None:
    async with redis_connected(url) as redis, asyncio.timeout(20):
        while not 0 < await redis.ttl(inbox) <= INBOX_KEPT_S:  # noqa: ASYNC110 # as above
            await asyncio.sleep(0.01)


async def test_inbox_of_a_gateway_that_died_for_good_ends_by_itself(valkey: Server) -> None:
    async with boxes(valkey.url, "a") as (box,):
        for number in range(2):
            box.post.tell_gateway("b", letters.CancelToLink("b.1", f"j{number}", 1, "why"))
            await ends_by_itself(valkey.url, keys.inbox("b"))
            valkey.kill9()
            valkey.start()


async def test_who_is_told_by_a_router_has_an_inbox_that_ends_by_itself(valkey: Server) -> None:
    async with redis_connected(valkey.url) as redis:
        lease = Lease(redis, name="r1", lasts_ms=5000)
        token = await lease.take()
        assert token is not None
        writing = Writing(effects=[("b", 0, batch_payload([encode_letter(place(1))]))])
        assert await RouterPost(redis).write(lease.mark(token), token, writing)
    await ends_by_itself(valkey.url, keys.inbox("b"))


async def test_what_no_router_reads_does_not_fill_redis(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "EVENTS_MOST", 300)
    async with boxes(valkey.url, "a") as (box,), redis_connected(valkey.url) as redis:
        for number in range(1000):
            box.post.tell_router(events.JobCancelled(f"j{number}", "left"))
            await asyncio.sleep(0.001)
        assert 0 < await redis.xlen(keys.EVENTS) <= 500, "whole nodes go, of 100 entries each"
