"""Journals on a real Redis: what is called safe is there, and one home at a time writes it."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from apps.router.apart import journal as journal_module
from apps.router.apart.journal_reading import journal_read
from apps.router.core.settings import CoreSettings
from apps.router.live.streams import Ended, JobStream
from motherfluxer_wire.frames import Usage
from tests.integration.router.apart.answers import begin, grow, new_stream
from tests.integration.router.apart.small_post import SmallPost


async def read(redis: "Redis[bytes]", stream: JobStream) -> JobStream:
    found = await journal_read(redis, stream.job_id)
    assert found is not None
    return found[0]


async def test_what_is_safe_can_be_read(post: SmallPost) -> None:
    stream = new_stream()
    post.journal.open(stream)
    begin(stream)
    for text in ("He", "llo", " wörld", "🙂"):
        grow(stream, text)
    stream.set_usage(Usage(3, 4))
    assert await post.journal.safe(stream)
    assert (await read(post.redis, stream)).whole() == stream.whole()
    stream.end(Ended("stop"), at=5.0)
    assert await post.journal.safe(stream)
    assert (await read(post.redis, stream)).whole() == stream.whole()


async def test_act_waits_until_the_journal_has_it(post: SmallPost) -> None:
    stream = new_stream()
    post.journal.open(stream)
    begin(stream)
    acts: list[int] = []
    post.journal.when_safe(stream, lambda: acts.append(1))
    grow(stream, "a")
    post.journal.when_safe(stream, lambda: acts.append(2))
    assert acts == []
    await post.journal.safe(stream)
    assert acts == [1, 2]
    post.journal.when_safe(stream, lambda: acts.append(3))
    assert acts == [1, 2, 3]


async def test_trouble_of_one_act_stops_nobody(
    post: SmallPost, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ValueError

    stream, acts = new_stream(), list[int]()
    post.journal.open(stream)
    post.journal.when_safe(stream, fail)
    post.journal.when_safe(stream, lambda: acts.append(1))
    assert await post.journal.safe(stream)
    assert acts == [1]
    assert "what waited for the journal failed" in caplog.text


async def test_many_chunks_are_few_entries(post: SmallPost) -> None:
    streams = [new_stream() for _ in range(20)]
    for stream in streams:
        post.journal.open(stream)
        begin(stream)
    for stream in streams:
        await post.journal.safe(stream)
    before = post.rounds
    for _ in range(50):
        for stream in streams:
            grow(stream, "abc")
    for stream in streams:
        await post.journal.safe(stream)
    assert post.rounds - before <= 2
    for stream in streams:
        assert (await read(post.redis, stream)).whole() == stream.whole()


async def test_long_answer_is_written_whole_now_and_then(
    post: SmallPost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "WHOLE_AFTER", 5)
    stream = new_stream()
    post.journal.open(stream)
    begin(stream)
    for number in range(40):
        grow(stream, f"{number} ")
        await post.journal.safe(stream)
    assert await post.redis.xlen(f"mf:job:{stream.job_id}") <= 7
    assert (await read(post.redis, stream)).whole() == stream.whole()


async def test_adopted_job_goes_on_where_its_journal_ends(
    post: SmallPost, other_post: SmallPost
) -> None:
    stream = new_stream()
    post.journal.open(stream)
    begin(stream)
    grow(stream, "Hel")
    await post.journal.safe(stream)
    await post.stop()
    adopted = await other_post.journal.adopt(stream.job_id)
    assert adopted is not None
    assert adopted.whole() == stream.whole()
    grow(adopted, "lo")
    adopted.end(Ended("stop"), at=2.0)
    assert await other_post.journal.safe(adopted)
    assert (await read(other_post.redis, stream)).text == "Hello"


async def test_home_that_was_stopped_writes_no_more_and_hears_of_it(
    post: SmallPost, other_post: SmallPost
) -> None:
    stream, acts = new_stream(), list[str]()
    post.journal.open(stream)
    begin(stream)
    grow(stream, "a")
    await post.journal.safe(stream)
    adopted = await other_post.journal.adopt(stream.job_id)
    assert adopted is not None
    grow(stream, "X")
    post.journal.when_safe(stream, lambda: acts.append("never"))
    assert not await post.journal.safe(stream)
    assert (stream.is_moved, post.taken, acts) == (True, [stream], [])
    grow(adopted, "b")
    assert await other_post.journal.safe(adopted)
    assert (await read(post.redis, stream)).text == "ab"


async def test_data_lost_is_written_whole_again(post: SmallPost) -> None:
    streams = [new_stream() for _ in range(3)]
    for stream in streams:
        post.journal.open(stream)
        begin(stream)
        grow(stream, "abc")
        await post.journal.safe(stream)
    streams[0].end(Ended("stop"), at=1.0)
    await post.journal.safe(streams[0])
    await post.redis.flushall()
    post.journal.lost()
    grow(streams[1], "d")
    for stream in streams:
        assert await post.journal.safe(stream)
        assert (await read(post.redis, stream)).whole() == stream.whole()


async def test_home_that_was_shut_out_stays_out_after_a_reconnection(
    post: SmallPost, other_post: SmallPost
) -> None:
    stream = new_stream()
    post.journal.open(stream)
    await post.journal.safe(stream)
    adopted = await other_post.journal.adopt(stream.job_id)
    assert adopted is not None
    post.journal.lost()
    assert not await post.journal.safe(stream)
    other_post.journal.lost()
    assert await other_post.journal.safe(adopted)
    assert post.taken == [stream]


async def test_closed_journal_is_written_no_more(post: SmallPost, other_post: SmallPost) -> None:
    stream = new_stream()
    post.journal.open(stream)
    assert await post.journal.safe(stream)
    post.journal.close(stream)
    begin(stream)
    assert (await read(post.redis, stream)).attempt == 0
    assert await other_post.journal.adopt(stream.job_id) is not None


async def test_nobody_waits_for_a_journal_that_was_closed(post: SmallPost) -> None:
    await post.stop()
    stream = new_stream()
    post.journal.open(stream)
    waiting = asyncio.create_task(post.journal.safe(stream))
    await asyncio.sleep(0)
    post.journal.close(stream)
    stream.move_away()
    async with asyncio.timeout(20):
        assert not await waiting


async def test_unknown_job_is_not_adopted(post: SmallPost) -> None:
    assert await post.journal.adopt("nobody's") is None
    assert await journal_read(post.redis, "nobody's") is None
    assert not await post.redis.exists("mf:job:nobody's")


async def test_journal_ends_by_itself(post: SmallPost) -> None:
    stream = new_stream()
    key = f"mf:job:{stream.job_id}"
    post.journal.open(stream)
    await post.journal.safe(stream)
    assert await post.redis.pttl(key) > 0
    stream.end(Ended("stop"), at=1.0)
    await post.journal.safe(stream)
    assert 110_000 < await post.redis.pttl(key) <= 120_000


async def test_journal_outlives_the_longest_wait_in_the_queue(post: SmallPost) -> None:
    stream = new_stream()
    post.journal.open(stream)
    await post.journal.safe(stream)
    left_s = await post.redis.ttl(f"mf:job:{stream.job_id}")
    assert left_s > CoreSettings().max_wait_s + 60, "where nothing changes nothing renews it"


async def test_redis_that_refuses_is_asked_again(
    post: SmallPost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "REFUSED_S", 0.05)
    stream = new_stream()
    await post.redis.set(f"mf:job:{stream.job_id}", "of another type")
    post.journal.open(stream)
    begin(stream)
    acts: list[Any] = []
    post.journal.when_safe(stream, lambda: acts.append(1))
    while not post.rounds:
        await post.redis.ping()
    assert acts == []
    await post.redis.delete(f"mf:job:{stream.job_id}")
    assert await post.journal.safe(stream)
    assert acts == [1]
    assert (await read(post.redis, stream)).whole() == stream.whole()
    assert await post.redis.pttl(f"mf:job:{stream.job_id}") > 0
