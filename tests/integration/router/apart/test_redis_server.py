"""A router says at its start what is wrong with its Redis."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings
from redis.asyncio import Redis

from apps.router.apart import redis_server as checking
from apps.router.apart.connection import redis_connected
from apps.router.apart.redis_server import server_check
from apps.router.errors import RedisTooOldError


@pytest.fixture
async def server(redis: "Redis[bytes]") -> AsyncIterator[Any]:
    """Return a client of a Redis that is as it was afterwards."""
    yield redis
    await redis.config_set("maxmemory-policy", "noeviction")


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]


async def test_redis_that_may_evict_is_named(server: Any, caplog: pytest.LogCaptureFixture) -> None:
    await server_check(server)
    assert warnings(caplog) == []
    await server.config_set("maxmemory-policy", "allkeys-lru")
    await server_check(server)
    [words] = warnings(caplog)
    assert "maxmemory-policy is allkeys-lru, not noeviction" in words


async def test_redis_that_does_not_say_what_it_is_is_taken(
    server: Any, redis_server: str, caplog: pytest.LogCaptureFixture
) -> None:
    await server.acl_setuser(
        "blind", enabled=True, nopass=True, keys="*", commands=["+@all", "-info"]
    )
    async with redis_connected(redis_server.replace("//", "//blind:x@")) as blind:
        await server_check(blind)
    [words] = warnings(caplog)
    assert "does not say what it is" in words


async def test_redis_that_is_too_old_is_refused(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "OLDEST", 99)
    with pytest.raises(RedisTooOldError, match="routers need 99 or later"):
        await server_check(server)


def test_router_does_not_start_with_it(
    redis_server: str, monkeypatch: pytest.MonkeyPatch, settings: Settings, tmp_path: Path
) -> None:
    monkeypatch.setattr(checking, "OLDEST", 99)
    settings.REDIS_URL, settings.VAR_DIR = redis_server, tmp_path
    with pytest.raises(CommandError, match="routers need 99 or later"):
        call_command("runrouter", "--name", "r")
    assert list(tmp_path.iterdir()) == [], "nothing says that it lives"
