"""Answers grow and are followed while Redis is killed, or cuts its connections: no text suffers."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from apps.router.apart.connection import redis_connected
from apps.router.apart.followers import Followers
from apps.router.apart.journal import Journal
from apps.router.apart.post import Post
from apps.router.live.streams import Ended, JobStream
from tests.integration.router.apart.answers import begin, grow, new_stream, text_of
from tests.servers import Server, running_valkey_server

STREAMS = 8


async def cut_connections(server: Server) -> None:
    """End what is connected; the data stays."""
    async with redis_connected(server.url) as redis:
        await redis.client_kill_filter(_type="normal", skipme=True)


async def kill_and_start(server: Server) -> None:
    """End Redis with its data, and start it empty."""
    await asyncio.to_thread(server.kill9)
    await asyncio.to_thread(server.start)


async def grow_all(streams: list[JobStream], words: int) -> None:
    """Let all grow for a while."""
    for number in range(words):
        for stream in streams:
            grow(stream, f"{number} ")
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("trouble", [cut_connections, kill_and_start])
async def test_followers_text_is_the_homes(
    tmp_path: Path, trouble: Callable[[Server], Awaitable[None]]
) -> None:
    with running_valkey_server(tmp_path) as server:
        post = Post(redis_url=server.url, gateway_id="00000001")
        async with redis_connected(server.url) as redis:
            journal = Journal(redis=redis, wake=post.wake, on_taken=lambda _: None)
            followers = Followers(redis=redis, gateway_id="00000002")
            post.add_writer(journal)
            await post.start()
            streams = [new_stream() for _ in range(STREAMS)]
            readers = []
            for stream in streams:
                journal.open(stream)
                begin(stream)
                await journal.safe(stream)
                replica = await followers.follow(stream.job_id)
                assert replica is not None
                readers.append(asyncio.create_task(text_of(replica)))
            for _ in range(2):
                growing = asyncio.create_task(grow_all(streams, 60))
                await asyncio.sleep(0.05)
                await trouble(server)
                await growing
            streams[0].end(Ended("stop"), at=1.0)
            await trouble(server)
            for stream in streams:
                stream.end(Ended("stop"), at=1.0)
            async with asyncio.timeout(30):
                texts = await asyncio.gather(*readers)
            assert texts == [stream.text for stream in streams]
            await followers.stop()
            await post.stop(within_s=5.0)
