"""A job's stream read at another process: the same text, whatever becomes of home and Redis."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from redis.asyncio import Redis

from apps.router.apart import followers as followers_module
from apps.router.apart import keys
from apps.router.apart.followers import Followers
from apps.router.apart.journal_reading import journal_read
from apps.router.errors import ErrorCode
from apps.router.live.streams import Ended, JobStream
from motherfluxer_wire.frames import Usage
from tests.integration.router.apart.answers import begin, grow, new_stream, text_of
from tests.integration.router.apart.small_post import SmallPost


@pytest.fixture
async def followers(redis: "Redis[bytes]") -> AsyncIterator[Followers]:
    """Return the followers of another process."""
    followers = Followers(redis=redis, gateway_id="00000002")
    yield followers
    await followers.stop()


async def followed(post: SmallPost, followers: Followers, stream: JobStream) -> JobStream:
    """Follow what a home has written down of a stream."""
    await post.journal.safe(stream)
    replica = await followers.follow(stream.job_id)
    assert replica is not None
    return replica


async def test_follower_sees_all_and_the_end(post: SmallPost, followers: Followers) -> None:
    stream = new_stream("Once ")
    post.journal.open(stream)
    replica = await followed(post, followers, stream)
    reader = asyncio.create_task(text_of(replica, 5))
    begin(stream)
    for text in ("upon", " a ", "", "time🙂"):
        grow(stream, text)
        await post.journal.safe(stream)
    stream.set_usage(Usage(3, 4))
    stream.end(Ended("stop"), at=5.0)
    assert await reader == "upon a time🙂"
    assert replica.whole() == stream.whole()


async def test_many_jobs_are_followed_by_one_read(post: SmallPost, followers: Followers) -> None:
    streams = [new_stream() for _ in range(20)]
    readers = []
    for stream in streams:
        post.journal.open(stream)
        begin(stream)
        await post.journal.safe(stream)
        first, again = await asyncio.gather(*(followers.follow(stream.job_id) for _ in "ab"))
        assert first is not None
        assert first is again
        readers.append(asyncio.create_task(text_of(first)))
    for number in range(30):
        for stream in streams:
            grow(stream, f"{number} ")
        await post.journal.safe(streams[0])
    for stream in streams:
        stream.end(Ended("stop"), at=5.0)
    expected = "".join(f"{number} " for number in range(30))
    assert await asyncio.gather(*readers) == [expected] * 20


async def test_ended_answer_is_there_for_who_comes_late(
    post: SmallPost, followers: Followers
) -> None:
    stream = new_stream()
    post.journal.open(stream)
    begin(stream)
    grow(stream, "all of it")
    stream.end(Ended("stop"), at=5.0)
    replica = await followed(post, followers, stream)
    assert await text_of(replica) == "all of it"
    assert await followers.follow("nobody's") is None


async def test_answer_goes_on_at_a_new_home(
    post: SmallPost, other_post: SmallPost, followers: Followers
) -> None:
    stream = new_stream()
    post.journal.open(stream)
    begin(stream)
    grow(stream, "a")
    replica = await followed(post, followers, stream)
    reader = asyncio.create_task(text_of(replica))
    adopted = await other_post.journal.adopt(stream.job_id)
    assert adopted is not None
    grow(stream, "from the home that was shut out")
    grow(adopted, "b")
    await other_post.journal.safe(adopted)
    adopted.end(Ended("stop"), at=5.0)
    assert await reader == "ab"


async def test_nothing_is_doubled_when_redis_has_lost_its_data(
    post: SmallPost, followers: Followers
) -> None:
    stream = new_stream()
    post.journal.open(stream)
    begin(stream)
    replica = None
    reader = None
    for number in range(20):
        grow(stream, f"{number} ")
        if number % 5 == 2:
            await post.redis.flushall()
            post.journal.lost()
        await post.journal.safe(stream)
        if replica is None:
            replica = await followers.follow(stream.job_id)
            assert replica is not None
            reader = asyncio.create_task(text_of(replica))
    stream.end(Ended("stop"), at=5.0)
    assert reader is not None
    assert await reader == stream.text


async def test_nothing_is_missed_when_a_journal_was_gone_unseen(
    post: SmallPost, followers: Followers
) -> None:
    stream = new_stream()
    post.journal.open(stream)
    begin(stream)
    replica = await followed(post, followers, stream)
    reader = asyncio.create_task(text_of(replica))
    for _ in range(5):
        grow(stream, "a")
        await post.journal.safe(stream)
    await post.redis.delete(keys.journal(stream.job_id))
    grow(stream, "a")
    await post.journal.safe(stream)
    found = await journal_read(post.redis, stream.job_id)
    assert found is not None
    assert found[0].whole() == stream.whole()
    grow(stream, "b")
    stream.end(Ended("stop"), at=5.0)
    async with asyncio.timeout(20):
        assert await reader == "aaaaaab"


async def test_job_that_is_lost_with_its_journal_ends(
    post: SmallPost, followers: Followers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followers_module, "QUIET_S", 0.0)
    monkeypatch.setattr(followers_module, "BLOCK_MS", 10)
    stream = new_stream()
    post.journal.open(stream)
    replica = await followed(post, followers, stream)
    await post.stop()
    await post.redis.flushall()
    ended = await replica.wait_ended()
    assert ended.error is not None
    assert ended.error.code is ErrorCode.ANSWER_INTERRUPTED


async def test_job_whose_journal_has_a_hole_ends_where_nobody_can_go_on(
    post: SmallPost,
    other_post: SmallPost,
    followers: Followers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(followers_module, "QUIET_S", 0.0)
    monkeypatch.setattr(followers_module, "BLOCK_MS", 10)
    stream = new_stream()
    post.journal.open(stream)
    begin(stream)
    replica = await followed(post, followers, stream)
    await post.stop()
    await post.redis.delete(keys.journal(stream.job_id))
    await post.redis.xadd(keys.journal(stream.job_id), {"b": msgspec.msgpack.encode([])})
    assert await other_post.journal.adopt(stream.job_id) is None
    async with asyncio.timeout(20):
        ended = await replica.wait_ended()
    assert ended.error is not None
    assert ended.error.code is ErrorCode.ANSWER_INTERRUPTED


async def test_replica_that_nobody_reads_is_dropped(
    post: SmallPost, followers: Followers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followers_module, "UNREAD_KEPT_S", 0.0)
    monkeypatch.setattr(followers_module, "BLOCK_MS", 10)
    stream, read = new_stream(), new_stream()
    for opened in (stream, read):
        post.journal.open(opened)
        await post.journal.safe(opened)
    read_replica = await followers.follow(read.job_id)
    assert read_replica is not None
    reader = asyncio.create_task(text_of(read_replica))
    await followers.follow(stream.job_id)
    async with asyncio.timeout(10):
        while stream.job_id in followers:
            await post.redis.ping()
    assert read.job_id in followers
    reader.cancel()
