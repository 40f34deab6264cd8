"""What plugins may read of the live router. Call from the event loop that it runs in."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from channels.db import database_sync_to_async

from apps.router.core.settings import CoreSettings
from apps.router.errors import JobRefusedError
from apps.router.live.runtime import live_gateway
from apps.router.live.streams import JobStream
from apps.router.records import selectors as log
from apps.router.records import shares
from apps.router.records.attempts import Attempt, attempts_of
from apps.router.router_view import (
    NO_VIEW,
    GoneView,
    InstanceView,
    JobView,
    ModelView,
    QueueView,
    RouterView,
)

__all__ = [
    "NO_VIEW",
    "GoneView",
    "InstanceView",
    "JobView",
    "ModelView",
    "QueueView",
    "RouterView",
    "core_settings",
    "decisions_latest",
    "decisions_of_job",
    "process_view",
    "requests_by_model",
    "router_trouble",
    "router_view",
    "stream_find",
]

DECISION_WRITTEN_WITHIN_S: Final = 3.0
DECISION_LOOK_S: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessView:
    """What this web process carries: instances' links, and answers whose text it holds."""

    links: int
    streams: int


def process_view() -> ProcessView:
    """Return what this process carries now."""
    gateway = live_gateway().gateway
    running = sum(stream.ended is None for stream in gateway.streams.values())
    return ProcessView(links=len(gateway.links), streams=running)


def router_trouble() -> str | None:
    """Return in words why this process should get no requests now; None: it should."""
    return live_gateway().trouble()


def stream_find(*, job_id: str) -> JobStream | None:
    """Return a job's stream while the job lives and for a minute after its end."""
    return live_gateway().gateway.streams.get(job_id)


async def decisions_of_job(*, job_id: str) -> list[Attempt]:
    """Return a job's attempts, each with its decision and its end; empty when none is kept.

    A router apart writes a decision a moment after it was made: that is waited for.
    """
    if entries := live_gateway().gateway.decisions.of_job(job_id):
        return attempts_of(entries)
    read = database_sync_to_async(log.log_entries_of_job, thread_sensitive=False)
    found = attempts_of(await read(job_id=job_id))
    deadline = time.monotonic() + DECISION_WRITTEN_WITHIN_S
    while not found and await _has_begun(job_id) and time.monotonic() < deadline:
        await asyncio.sleep(DECISION_LOOK_S)
        found = attempts_of(await read(job_id=job_id))
    return found


async def _has_begun(job_id: str) -> bool:
    """Whether a job is known whose decision can't be far."""
    try:
        stream = await live_gateway().follow(job_id)
    except JobRefusedError:
        return False
    return stream is not None and stream.started is not None


async def decisions_latest(*, count: int) -> list[Attempt]:
    """Return the last decisions of the newest jobs, newest first."""
    if entries := live_gateway().gateway.decisions.latest_decisions(count):
        return attempts_of(entries)
    read = database_sync_to_async(log.log_latest_decisions, thread_sensitive=False)
    return attempts_of(await read(count=count))


def requests_by_model(*, asked_model: str, since: datetime) -> Mapping[tuple[str, str], int]:
    """Count the newest requests for a name by the model and revision that they went to.

    Reads the database and needs no live router: call it from a thread, not from the event loop.
    """
    return shares.requests_by_model(asked_model=asked_model, since=since)


def core_settings() -> CoreSettings:
    """Return the constants that the router runs with."""
    return live_gateway().gateway.settings


def router_view() -> RouterView:
    """Return what the router sees now, or a moment ago where it is apart."""
    return live_gateway().view()
