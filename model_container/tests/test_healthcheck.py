"""The image's HEALTHCHECK: it asks where the program listens, and believes 200 only."""

import asyncio

import pytest

from motherfluxer_model.health import HealthServer, Page
from motherfluxer_model.healthcheck import is_alive

PAGES = {"/healthz": lambda: Page("application/json", b"{}")}


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", ""])  # noqa: S104  loopback is asked
async def test_a_program_that_answers_is_alive(host: str) -> None:
    server = HealthServer(PAGES)
    await server.start("127.0.0.1", 0, may_move=False)
    environ = {"MOTHERFLUXER_HEALTH_HOST": host, "MOTHERFLUXER_HEALTH_PORT": str(server.port)}
    try:
        assert await asyncio.to_thread(is_alive, environ)
    finally:
        await server.close()
    assert not await asyncio.to_thread(is_alive, environ)


async def test_another_answer_is_none() -> None:
    server = HealthServer({})
    await server.start("127.0.0.1", 0, may_move=False)
    environ = {"MOTHERFLUXER_HEALTH_PORT": str(server.port)}
    assert not await asyncio.to_thread(is_alive, environ)
    await server.close()
