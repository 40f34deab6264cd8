"""Twelve thousand random events through the live router leave nothing behind in it."""

import asyncio
import gc
import logging
import random
import tracemalloc
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Final

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from apps.router import ports
from apps.router.conf import CONF
from apps.router.core import events
from apps.router.errors import JobRefusedError
from apps.router.live import decisions
from apps.router.live.links import CloseRequest, InstanceLink
from apps.router.live.runtime import LiveRouter, running_router
from apps.router.live.streams import JobRequest, JobStream
from apps.router.ports import Admission
from motherfluxer_wire import frames
from motherfluxer_wire.codec import decode_from_router
from motherfluxer_wire.errors import WireError
from motherfluxer_wire.fields import FailureCode, FinishReason, ServiceClass

EVENTS_COUNT: Final = 4_000
MODELS: Final = ("one", "two")
NAMES: Final = tuple(f"instance-{n}" for n in range(6))
CLASSES: Final[tuple[ServiceClass, ...]] = ("registered", "demo", "probe")
CODES: Final[tuple[FailureCode, ...]] = ("engine_error", "overloaded", "bad_request")
ENDS: Final[tuple[FinishReason, ...]] = ("stop", "length", "cancelled")
LONG_S: Final = 7200.0
# Caches fill and shrink by chance; a leak of one object of each event would be far more.
NOISE_BYTES: Final = 80_000


@pytest.fixture
async def router(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[LiveRouter]:
    logging.disable()  # pytest keeps records; this also empties the loggers' own caches
    # What is kept on purpose must be full after the first round.
    monkeypatch.setattr(decisions, "CONF", replace(CONF, log_memory_jobs_count=1))
    for port in (ports.instance_gate, ports.model_catalog):
        monkeypatch.setattr(port, "_object", None)
    async with running_router() as running:
        yield running
    await sync_to_async(connections.close_all)()
    logging.disable(logging.NOTSET)


class Peer:
    """An instance that means no good and no harm: it acts by chance."""

    def __init__(
        self, router: LiveRouter, name: str, serial: int, offers: list[frames.Job]
    ) -> None:
        self.router = router
        admission = Admission(
            credential_id="c", credential_name="c", operator_email="operator@example.org"
        )
        self.link = InstanceLink(session=f"session-{serial}", admission=admission)
        self.held: dict[str, tuple[frames.Job, int]] = {}
        models = [
            frames.Model(
                name=model, context_tokens=1000, max_output_tokens=500, capabilities=["continue"]
            )
            for model in MODELS[: 1 + serial % 2]
        ]
        resume = [frames.ResumeOffer(job.job, job.attempt, serial % 3) for job in offers]
        hello = frames.Hello(agent="lab/1", instance=name, models=models, slots=3, resume=resume)
        router.join(self.link, hello)

    @property
    def is_linked(self) -> bool:
        """Whether the router still has the link."""
        return self.link.session in self.router.gateway.links

    def read(self) -> None:
        """Take what the router sent."""
        while not self.link.outbox.empty():
            item = self.link.outbox.get_nowait()
            if isinstance(item, CloseRequest):
                continue
            frame = decode_from_router(item)
            if isinstance(frame, frames.Job):
                self.held[frame.job] = frame, 0
            elif isinstance(frame, frames.Welcome):
                self.held = {job: held for job, held in self.held.items() if job not in frame.drop}

    def send(self, frame: frames.Frame) -> None:
        """Send a frame; whoever breaks a rule is thrown out, as its consumer would do."""
        if not self.is_linked:
            return
        try:
            self.router.gateway.frame_received(frame, self.link)
        except WireError:
            self.router.leave(self.link)

    def leave(self) -> None:
        """Break the link."""
        self.router.leave(self.link)


class Storm:
    """Random events, the same ones for the same seed, on a clock of its own."""

    def __init__(self, router: LiveRouter, seed: int) -> None:
        self.router = router
        self.draw = random.Random(seed)  # noqa: S311 # chance, not secrecy
        self.now = 0.0
        self.serial = 0
        self.peers: dict[str, Peer] = {}
        self.streams: list[JobStream] = []
        self.old_jobs: list[frames.Job] = []
        self.readers: set[asyncio.Task[None]] = set()
        self.counts = dict.fromkeys(("submitted", "refused", "ended"), 0)
        router.service.clock = router.gateway.clock = lambda: self.now
        self.acts: list[tuple[int, Callable[[], object]]] = [
            (16, self.submit),
            (10, self.cancel),
            (5, self.join),
            (2, self.leave),
            (30, self.chunk),
            (20, self.done),
            (5, self.fail),
            (4, self.heartbeat),
            (1, self.change),
            (5, self.tick),
        ]

    async def blow(self, count: int) -> None:
        """Do so many random things."""
        weights, acts = zip(*self.acts, strict=True)
        for n, act in enumerate(self.draw.choices(acts, weights, k=count)):
            self.now += self.draw.expovariate(50)
            if asyncio.iscoroutine(doing := act()):
                await doing
            for peer in self.peers.values():
                peer.read()
            if n % 50 == 0:
                await asyncio.sleep(0)

    async def calm(self) -> None:
        """Let every reader leave and every link break, and a long time pass."""
        for stream in self.streams:
            self.router.gateway.cancel(stream.job_id, "storm over")
        for peer in self.peers.values():
            peer.leave()
        self.peers.clear()
        self.streams.clear()
        self.old_jobs.clear()
        await asyncio.gather(*self.readers)
        for _ in range(2):
            self.now += LONG_S
            self.tick()  # so long a pause is the router's own: nobody is judged by it
            self.tick()
        await self.router.gateway.decisions.writer.flush()
        if self.router.recorder is not None:
            await self.router.recorder.flush()

    # -- what may happen -----------------------------------------------------------------------

    async def submit(self) -> None:
        """Somebody asks."""
        request = JobRequest(
            messages=(frames.Message("user", f"question {self.draw.randrange(4)}"),),
            requester=f"user:{self.draw.randrange(20)}",
            service_class=self.draw.choice(CLASSES),
            request_id="storm",
            model_name=self.draw.choice([*MODELS, None, "unknown"]),
            may_wait_for_instance=self.draw.random() < 0.5,
        )
        self.counts["submitted"] += 1
        try:
            stream = await self.router.gateway.submit(request)
        except JobRefusedError:
            self.counts["refused"] += 1
            return
        self.streams = [*self.streams[-200:], stream]
        if self.draw.random() < 0.5:
            reader = asyncio.ensure_future(self.read(stream))
            self.readers.add(reader)
            reader.add_done_callback(self.readers.discard)

    async def read(self, stream: JobStream) -> None:
        """Read an answer to its end."""
        async for _ in stream.read():
            pass
        self.counts["ended"] += 1

    def cancel(self) -> None:
        """A reader leaves, perhaps for the second time, perhaps after the end."""
        if self.streams:
            self.router.gateway.cancel(self.draw.choice(self.streams).job_id, "left")

    def join(self) -> None:
        """An instance connects, perhaps in place of itself, and offers what it may have held."""
        self.serial += 1
        name = self.draw.choice(NAMES)
        offers = self.draw.sample(self.old_jobs, min(2, len(self.old_jobs)))
        self.peers[name] = Peer(self.router, name, self.serial, offers)

    def leave(self) -> None:
        """A link breaks."""
        if peer := self.peer():
            peer.leave()
            self.peers = {name: one for name, one in self.peers.items() if one is not peer}

    def chunk(self) -> None:
        """A piece comes: the next one, one that was here before, or one of another's."""
        if not (peer := self.peer()) or not (found := self.job_of(peer)):
            return
        job, seq = found
        told = max(0, seq - self.draw.choice([0, 0, 0, 1]))
        peer.send(frames.Chunk(job.job, job.attempt, told, "piece ", 1))
        if job.job in peer.held and told == seq:
            peer.held[job.job] = job, seq + 1

    def done(self) -> None:
        """An attempt ends, now and then twice."""
        if not (peer := self.peer()) or not (found := self.job_of(peer)):
            return
        job, seq = found
        usage = frames.Usage(prompt_tokens=3, completion_tokens=seq)
        end = frames.Done(job.job, job.attempt, seq, self.draw.choice(ENDS), usage)
        for _ in range(self.draw.choice([1, 1, 2])):
            peer.send(end)
        self.forget(peer, job)

    def fail(self) -> None:
        """An attempt fails, now and then twice."""
        if not (peer := self.peer()) or not (found := self.job_of(peer)):
            return
        job, seq = found
        code = self.draw.choice(CODES)
        for _ in range(self.draw.choice([1, 1, 2])):
            peer.send(frames.Failed(job.job, job.attempt, seq, code, "lab says no", retryable=True))
        self.forget(peer, job)

    def heartbeat(self) -> None:
        """A heartbeat names what is held, or only some of it."""
        if peer := self.peer():
            held = list(peer.held)
            running = held if self.draw.random() < 0.7 else held[::2]
            peer.send(frames.Heartbeat(running=running, slots=self.draw.randint(1, 4)))

    def change(self) -> None:
        """An instance serves something else, or wants no more."""
        if peer := self.peer():
            model = frames.Model(name="two", context_tokens=10, max_output_tokens=5)
            changes: list[frames.Frame] = [
                frames.ModelsChanged(models=[model], slots=2),
                frames.Draining(),
            ]
            peer.send(self.draw.choice(changes))

    def tick(self) -> None:
        """Time passes."""
        self.now += self.draw.choice([0.1, 0.5, 1.0])
        self.router.bus.publish(events.TimePassed())
        self.router.gateway.tick()

    def peer(self) -> Peer | None:
        """Return some instance."""
        return self.draw.choice(list(self.peers.values())) if self.peers else None

    def job_of(self, peer: Peer) -> tuple[frames.Job, int] | None:
        """Return a job that an instance holds, or one that it never had."""
        if self.old_jobs and self.draw.random() < 0.1:
            return self.draw.choice(self.old_jobs), 0
        return self.draw.choice(list(peer.held.values())) if peer.held else None

    def forget(self, peer: Peer, job: frames.Job) -> None:
        """Note that an instance holds a job no more."""
        if peer.held.pop(job.job, None):
            self.old_jobs = [*self.old_jobs[-50:], job]


def assert_empty(router: LiveRouter) -> None:
    """Check that the router holds no job, slot, stream, link or record."""
    state, gateway = router.service.state, router.gateway
    assert not state.jobs
    assert not len(state.queue)
    assert not state.instances
    assert not state.records
    assert not gateway.streams
    assert not gateway.links


async def test_random_events_leave_no_job_no_slot_no_task_and_no_memory(
    router: LiveRouter,
) -> None:
    tasks_before = len(asyncio.all_tasks())
    storm = Storm(router, seed=1)
    sizes = []
    tracemalloc.start()
    try:
        for _ in range(3):
            await storm.blow(EVENTS_COUNT)
            await storm.calm()
            assert_empty(router)
            assert len(asyncio.all_tasks()) <= tasks_before
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert storm.counts["submitted"] > 2 * storm.counts["refused"] > 0
    assert storm.counts["ended"] > 400
    # The first time fills what is kept on purpose; after that nothing grows.
    assert sizes[2] - sizes[1] < NOISE_BYTES, sizes
