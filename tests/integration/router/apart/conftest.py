"""A Redis of the tests' own, empty at the beginning of each."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from apps.router.apart.connection import redis_connected
from tests.integration.router.apart.small_post import SmallPost
from tests.servers import running_valkey


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """Return the address of a Redis."""
    with tempfile.TemporaryDirectory() as folder, running_valkey(Path(folder)) as url:
        yield url


@pytest.fixture
async def redis(redis_server: str) -> AsyncIterator["Redis[bytes]"]:
    """Return a client of a Redis with nothing in it."""
    async with redis_connected(redis_server) as client:
        await client.flushall()
        yield client


@pytest.fixture
async def post(redis: "Redis[bytes]") -> AsyncIterator[SmallPost]:
    """Return a post of one process."""
    post = SmallPost(redis)
    yield post
    await post.stop()


@pytest.fixture
async def other_post(redis: "Redis[bytes]") -> AsyncIterator[SmallPost]:
    """Return a post of another process."""
    post = SmallPost(redis)
    yield post
    await post.stop()
