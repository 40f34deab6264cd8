"""Redis that holds no more, since no router acted for long, is emptied by the next one."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from apps.router.apart import keys, numbering, router
from apps.router.apart.connection import redis_connected
from apps.router.apart.lease import Lease
from apps.router.apart.post import Post
from apps.router.apart.router import RouterProcess
from apps.router.apart.router_post import RouterPost
from apps.router.core import events, letters
from tests.integration.router.apart.test_routers import NoDuties
from tests.servers import running_valkey_server

A = "aaaaaaaa"
ROOM_BYTES = 4 * 1024 * 1024


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110 # what comes from Redis has no event here
            await asyncio.sleep(0.01)


async def fill(post: Post) -> None:
    """Tell the router more than Redis holds."""
    while post.is_connected:
        for _ in range(50):
            post.tell_router(events.JobCancelled("j" * 1000, "why"))
        await asyncio.sleep(0.005)


async def test_router_takes_over_though_redis_is_full_and_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router, "SNAPSHOT_S", 0.3)
    monkeypatch.setattr(numbering, "KEPT_S", 0.1)  # what is written again counts as well
    with running_valkey_server(tmp_path) as server:
        async with redis_connected(server.url) as redis:
            used = (await redis.info("memory"))["used_memory"]
            await redis.config_set("maxmemory", used + ROOM_BYTES)
            post = Post(redis_url=server.url, gateway_id=A)
            await post.start()
            post.tell_router(letters.GatewayCame("1"))
            await fill(post)
            acting = RouterProcess(
                post=RouterPost(redis),
                lease=Lease(redis, name="r1", lasts_ms=1000),
                name="r1",
                duties=NoDuties(),
            )
            running = asyncio.create_task(acting.run())
            await until(lambda: post.is_connected)
            post.tell_router(letters.GatewayLeaving())
            await until(
                lambda: (
                    acting.cluster is not None
                    and A in acting.cluster.gateways
                    and acting.cluster.gateways[A].is_leaving
                )
            )
            async with asyncio.timeout(20):
                while await redis.memory_usage(keys.EVENTS) > ROOM_BYTES / 2:  # noqa: ASYNC110 # as above
                    await asyncio.sleep(0.01)
            assert acting.cluster is not None
            assert acting.cluster.gateways[A].missed_count == 0
            await post.stop(within_s=5)
            acting.stop()
            await running
