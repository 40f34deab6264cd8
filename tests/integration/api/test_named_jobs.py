"""Named requests that are sent again to another web process: one job, one count."""

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from pytest_django import Settings

from apps.api import answering, jobs, named_jobs
from apps.api.conf import CONF
from apps.api.idempotency import KeptAnswers
from apps.api.jobs import ApiKeeper
from apps.router import ports
from apps.router.live.runtime import LiveRouter
from tests.integration.api.rig import Instance, OneKeyGate, chat
from tests.integration.api.test_idempotency import named, steps
from tests.servers import running_valkey


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder, running_valkey(Path(folder)) as url:
        yield url


@pytest.fixture
def other_process(
    settings: Settings, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], None]]:
    """Make the next request come to a process that keeps no answers yet; jobs are followed."""
    settings.ROUTER_APART, settings.REDIS_URL = True, redis_url

    def enter() -> None:
        monkeypatch.setattr(answering, "KEPT", KeptAnswers())

    enter()
    yield enter
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()


@pytest.fixture
def records(router: LiveRouter) -> list[Any]:
    gate = ports.caller_gate.get()
    assert isinstance(gate, OneKeyGate)
    return gate.records


async def test_a_retry_at_another_process_follows_the_job(
    other_process: Callable[[], None], instance: Instance, records: list[Any]
) -> None:
    first = named()
    job = await instance.job()
    instance.say(job, "one ")
    other_process()
    retry = named()
    instance.say(job, "two")
    instance.finish(job)
    reply, again = await first.end(), await retry.end()
    assert again.json() == reply.json()
    assert again.json()["choices"][0]["message"]["content"] == "one two"
    assert "idempotent-replayed" not in reply.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert len(records) == 1


async def test_two_processes_at_once_hand_in_one_job(
    other_process: Callable[[], None], instance: Instance, router: LiveRouter, records: list[Any]
) -> None:
    first = named()
    other_process()
    second = named()
    job = await instance.job()
    instance.say(job, "Hello")
    instance.finish(job)
    replies = [await first.end(), await second.end()]
    assert replies[0].json() == replies[1].json()
    assert len(router.gateway.streams) == 1
    assert len(records) == 1


async def test_another_request_under_the_name_is_refused_everywhere(
    other_process: Callable[[], None], instance: Instance
) -> None:
    first = named()
    job = await instance.job()
    other_process()
    refused = await named(text="Something else").end()
    assert (refused.status, refused.error["code"]) == (422, "idempotency_key_reused")
    instance.finish(job)
    await first.end()


async def test_a_job_that_failed_is_no_answer_at_another_process_either(
    other_process: Callable[[], None], instance: Instance
) -> None:
    first = named()
    instance.fail(await instance.job(), "bad_request")
    assert (await first.end()).status == 400
    other_process()
    again = named()
    job = await instance.job()
    instance.say(job, "Now")
    instance.finish(job)
    assert (await again.end()).json()["choices"][0]["message"]["content"] == "Now"


async def test_a_job_read_at_another_process_goes_on(
    other_process: Callable[[], None],
    instance: Instance,
    records: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quick = replace(CONF, reader_awaited_s=0.2)
    for module in (answering, jobs):
        monkeypatch.setattr(module, "CONF", quick)
    lost = named()
    job = await instance.job()
    other_process()
    retry = named()
    shared = named_jobs.named_jobs()
    assert shared is not None
    async with asyncio.timeout(20):
        while not await shared.is_read(job.job):  # noqa: ASYNC110  # Redis tells nobody
            await asyncio.sleep(0.01)
    lost.hang_up()
    await lost.end()
    await asyncio.sleep(0.5)  # longer than the first process waits for a reader of its own
    instance.say(job, "Hello")
    instance.finish(job)
    assert (await retry.end()).json()["choices"][0]["message"]["content"] == "Hello"
    async with asyncio.timeout(20):
        while not records:  # noqa: ASYNC110  # it has no event
            await asyncio.sleep(0.01)
    assert len(records) == 1


async def test_only_a_named_job_is_adopted_and_it_is_counted_once(
    other_process: Callable[[], None],
    instance: Instance,
    router: LiveRouter,
    records: list[Any],
) -> None:
    keeper = ApiKeeper()
    plain = chat()
    job = await instance.job()
    assert not await keeper.adopt(router.gateway.streams[job.job])
    instance.finish(job)
    await plain.end()
    before = len(records)
    first = named()
    job = await instance.job()
    assert first.task is not None
    stream = router.gateway.streams[job.job]
    assert await keeper.adopt(stream)
    instance.say(job, "Hello")
    instance.finish(job)
    await first.end()
    await steps()
    # Both processes live in this test; in life the first one is gone, and with it its count.
    assert len(records) == before + 2
    assert {record.key_id for record in records} == {records[0].key_id}
