"""The link over real websockets: it comes back, loses nothing, and knows when to stop."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

import pytest

from motherfluxer_model import connection
from motherfluxer_model.desk import Desk
from motherfluxer_model.errors import (
    CredentialRefusedError,
    GenerationError,
    LinkEndedError,
    ProtocolTooOldError,
    ReplacedError,
)
from motherfluxer_model.link import Chance, Identity, Link, LinkState
from motherfluxer_model.testing.engine import FED_MODEL, FedEngine
from motherfluxer_model.testing.router import ScriptedRouter, make_job
from motherfluxer_wire import codec
from motherfluxer_wire.frames import (
    Ack,
    Batch,
    Cancel,
    Chunk,
    Done,
    Drain,
    Draining,
    Failed,
    Heartbeat,
    Hello,
    Model,
    ModelsChanged,
    Resume,
    Welcome,
)


class Instance:
    """A whole instance without its engine: the link runs as a task."""

    def __init__(self, url: str) -> None:
        self.engine = FedEngine()
        self.desk = Desk(self.engine, 2, time.monotonic)
        identity = Identity(url, "box-1", "mfi_secret", "here")
        self.link = Link(
            identity,
            self.desk,
            hardware=self.engine.hardware,
            chance=Chance(draw=lambda: 0.0),
        )
        self.task = asyncio.create_task(self.link.run())

    async def close(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError, LinkEndedError):
            await self.task
        await self.desk.close()


@pytest.fixture
async def router() -> AsyncIterator[ScriptedRouter]:
    async with ScriptedRouter() as router:
        yield router


@pytest.fixture
async def instance(router: ScriptedRouter) -> AsyncIterator[Instance]:
    instance = Instance(router.url)
    yield instance
    await instance.close()


async def until(is_true: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not is_true():  # noqa: ASYNC110  what is waited for tells nobody when it comes
            await asyncio.sleep(0.001)


async def test_hello_introduces_and_the_credential_goes_in_the_header(
    router: ScriptedRouter, instance: Instance
) -> None:
    side = await router.next_instance()
    assert side.authorization == "Bearer mfi_secret"
    assert side.websocket.subprotocol == "motherfluxer.v1"
    assert (side.hello.instance, side.hello.slots, side.hello.region) == ("box-1", 2, "here")
    assert side.hello.models == instance.engine.models
    assert side.hello.hardware == {"device": "test"}
    assert "mfi_secret" not in repr(instance.link._identity)
    await until(lambda: instance.link.state is LinkState.OPEN)


async def test_heartbeats_come_at_the_pace_of_the_welcome(
    router: ScriptedRouter, instance: Instance
) -> None:
    router.on_hello = lambda hello: Welcome("motherfluxer.v1", "s", 0.01, warnings=["mind the gap"])
    side = await router.next_instance()
    await side.send(make_job())
    await side.wait_for(lambda: len(side.frames(Heartbeat)) > 2)
    await side.wait_for(lambda: side.frames(Heartbeat)[-1].running == ["j1"])


async def test_job_is_answered_and_the_first_text_does_not_wait(
    router: ScriptedRouter, instance: Instance
) -> None:
    side = await router.next_instance()
    await side.send(make_job())
    instance.engine.say("j1", "Hé")
    await side.wait_for(lambda: side.text("j1") == "Hé")
    instance.engine.say("j1", " 😀")
    instance.engine.finish("j1")
    done = await side.wait_for_ending("j1")
    assert isinstance(done, Done)
    assert done.seq == 2
    assert side.text("j1") == "Hé 😀"
    await side.send(Ack("j1", 1, 2))


async def test_cancelled_job_is_reported(router: ScriptedRouter, instance: Instance) -> None:
    side = await router.next_instance()
    await side.send(make_job())
    await side.send(Cancel("j1", 1, "reader left"))
    done = await side.wait_for_ending("j1")
    assert isinstance(done, Done)
    assert done.finish_reason == "cancelled"


async def test_several_jobs_share_a_frame(router: ScriptedRouter, instance: Instance) -> None:
    side = await router.next_instance()
    for job in "ab":
        await side.send(make_job(job))
    await until(lambda: len(instance.engine.started) == 2)
    for job in "ab":
        instance.engine.say(job, job)
        instance.engine.finish(job)
    for job in "ab":
        await side.wait_for_ending(job)
    frames = [f for f in side.received if not isinstance(f, Heartbeat)]
    assert len(frames) == 4
    assert side.raw_count - len(side.frames(Heartbeat)) <= 2


def lose(count: int) -> Callable[[Hello], Welcome]:
    """Make welcomes of a router that lacks the last `count` chunks of each offered job."""

    def on_hello(hello: Hello) -> Welcome:
        resume = [Resume(o.job, o.attempt, max(0, o.next_seq - count)) for o in hello.resume]
        return Welcome("motherfluxer.v1", "s", 1, resume=resume)

    return on_hello


@pytest.mark.parametrize("lost", [0, 1, 3])
async def test_broken_link_loses_nothing(
    router: ScriptedRouter, instance: Instance, lost: int
) -> None:
    router.on_hello = lose(lost)
    first = await router.next_instance()
    await first.send(make_job())
    for word in ("one ", "two ", "three "):
        instance.engine.say("j1", word)
        await until(lambda: first.text("j1").endswith(word))  # noqa: B023  awaited in this turn
    first.websocket.transport.abort()
    instance.engine.say("j1", "four ")
    second = await router.next_instance()
    (offer,) = second.hello.resume
    assert (offer.job, offer.attempt, offer.next_seq, offer.state) == ("j1", 1, 3, "running")
    instance.engine.say("j1", "five")
    instance.engine.finish("j1")
    done = await second.wait_for_ending("j1")
    kept = {chunk.seq: chunk.text for chunk in first.frames(Chunk)[: 3 - lost]}
    kept |= {chunk.seq: chunk.text for chunk in second.frames(Chunk)}
    assert sorted(kept) == list(range(done.seq))
    assert "".join(kept[seq] for seq in sorted(kept)) == "one two three four five"
    assert second.frames(Chunk)[0].seq == 3 - lost


async def test_end_that_was_lost_is_offered_and_sent_again(
    router: ScriptedRouter, instance: Instance
) -> None:
    router.on_hello = lose(0)
    first = await router.next_instance()
    await first.send(make_job())
    instance.engine.say("j1", "all")
    instance.engine.finish("j1")
    await first.wait_for_ending("j1")
    first.websocket.transport.abort()
    second = await router.next_instance()
    assert second.hello.resume[0].state == "ended"
    done = await second.wait_for_ending("j1")
    assert done.seq == 1
    assert second.text("j1") == ""


async def test_dropped_job_is_stopped_and_never_sent(
    router: ScriptedRouter, instance: Instance
) -> None:
    first = await router.next_instance()
    await first.send(make_job())
    instance.engine.say("j1", "text")
    await first.wait_for(lambda: first.text("j1"))
    router.on_hello = lambda hello: Welcome("motherfluxer.v1", "s", 1, drop=["j1"])
    first.websocket.transport.abort()
    second = await router.next_instance()
    await until(lambda: instance.engine.cancelled == [("j1", 1)])
    await second.send(make_job("j2"))
    instance.engine.finish("j2")
    await second.wait_for_ending("j2")
    assert second.text("j1") == ""


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 1013, 4000])
async def test_closed_link_comes_back(
    router: ScriptedRouter, instance: Instance, code: int
) -> None:
    first = await router.next_instance()
    await first.websocket.close(code, "as told")
    second = await router.next_instance()
    assert second.hello.instance == "box-1"


@pytest.mark.parametrize(("code", "error"), [(4001, CredentialRefusedError), (4002, ReplacedError)])
async def test_some_closings_are_for_good(
    router: ScriptedRouter, instance: Instance, code: int, error: type[LinkEndedError]
) -> None:
    side = await router.next_instance()
    await side.websocket.close(code, "as told")
    with pytest.raises(error, match="as told"):
        await instance.task
    assert instance.link.state is LinkState.ENDED


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, CredentialRefusedError),
        (403, CredentialRefusedError),
        (426, ProtocolTooOldError),
    ],
)
async def test_some_refusals_are_for_good(
    router: ScriptedRouter, status: int, error: type[LinkEndedError]
) -> None:
    router.refuse_with = (status, {})
    instance = Instance(router.url)
    with pytest.raises(error, match="as told"):
        await instance.task
    assert router.refused_count == 1
    await instance.close()


@pytest.mark.parametrize("status", [429, 503, 404])
async def test_other_refusals_are_waited_out(router: ScriptedRouter, status: int) -> None:
    router.refuse_with = (status, {"Retry-After": "0"})
    instance = Instance(router.url)
    await until(lambda: router.refused_count >= 2)
    router.refuse_with = None
    await router.next_instance()
    await instance.close()


async def test_router_that_is_not_there_is_waited_for(
    router: ScriptedRouter, caplog: pytest.LogCaptureFixture
) -> None:
    instance = Instance("ws://127.0.0.1:9/ws/instances/")
    await until(lambda: "trying again" in caplog.text or len(caplog.records) > 1)
    assert not instance.task.done()
    await instance.close()


@pytest.mark.parametrize(
    "data",
    [
        "garbage",
        '{"type":"dance"}',
        b"\x00\x01",
        '{"type":"ack","job":"j"}',
        '{"type":"welcome","protocol":"motherfluxer.v1","session":"s","heartbeat_s":1}',
    ],
)
async def test_garbage_closes_the_connection_by_name_and_jobs_live_on(
    router: ScriptedRouter, instance: Instance, data: str | bytes
) -> None:
    first = await router.next_instance()
    await first.send(make_job())
    await until(lambda: instance.engine.started)
    await first.send_raw(data)
    await first.websocket.wait_closed()
    assert first.websocket.close_code == 4000
    assert first.websocket.close_reason
    second = await router.next_instance()
    assert [offer.job for offer in second.hello.resume] == ["j1"]


async def test_job_with_bad_sampling_fails_alone(
    router: ScriptedRouter, instance: Instance
) -> None:
    side = await router.next_instance()
    text = codec.encode(make_job()).replace('"sampling":{}', '"sampling":{"temperature":99}')
    await side.send_raw(text)
    failed = await side.wait_for_ending("j1")
    assert isinstance(failed, Failed)
    assert failed.code == "bad_request"
    await side.send(make_job("j2"))
    instance.engine.finish("j2")
    await side.wait_for_ending("j2")


async def test_router_that_does_not_welcome_is_left(
    router: ScriptedRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "WELCOME_TIMEOUT_S", 0.02)
    greeted: list[Hello] = []

    def stay_silent(hello: Hello) -> None:
        greeted.append(hello)

    router.on_hello = stay_silent
    instance = Instance(router.url)
    await until(lambda: len(greeted) >= 2)
    await instance.close()


async def test_silent_router_is_noticed(
    router: ScriptedRouter, instance: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    router.on_hello = lambda hello: Welcome("motherfluxer.v1", "s", 0.05)
    side = await router.next_instance()
    side.websocket.transport.pause_reading()  # neither reads nor answers pings any more
    again = await router.next_instance()
    assert again.hello.instance == "box-1"
    assert "silent" in caplog.text
    side.websocket.transport.abort()


async def test_own_draining_finishes_what_runs_and_takes_nothing_new(
    router: ScriptedRouter, instance: Instance
) -> None:
    side = await router.next_instance()
    await side.send(make_job())
    await until(lambda: instance.engine.started)
    instance.link.drain()
    await side.wait_for(lambda: side.frames(Draining))
    await side.send(make_job("j2"))
    failed = await side.wait_for_ending("j2")
    assert isinstance(failed, Failed)
    assert failed.code == "overloaded"
    instance.engine.say("j1", "last words")
    instance.engine.finish("j1")
    await instance.task
    await side.websocket.wait_closed()
    assert side.websocket.close_code == 1000
    assert side.text("j1") == "last words"
    assert isinstance(side.ending("j1"), Done)


async def test_router_may_ask_to_drain(router: ScriptedRouter, instance: Instance) -> None:
    side = await router.next_instance()
    await side.send(make_job())
    await until(lambda: instance.engine.started)
    await side.send(Drain("maintenance"))
    instance.engine.finish("j1")
    await instance.task
    await side.websocket.wait_closed()
    assert side.websocket.close_code == 1000
    assert isinstance(side.ending("j1"), Done)


async def test_draining_goes_on_over_a_broken_link(
    router: ScriptedRouter, instance: Instance
) -> None:
    first = await router.next_instance()
    await first.send(make_job())
    await until(lambda: instance.engine.started)
    instance.link.drain()
    first.websocket.transport.abort()
    second = await router.next_instance()
    await second.wait_for(lambda: second.frames(Draining))
    instance.engine.finish("j1")
    await instance.task
    assert isinstance(await second.wait_for_ending("j1"), Done)


async def test_draining_without_a_connection_ends_at_once() -> None:
    instance = Instance("ws://127.0.0.1:9/ws/instances/")
    instance.link.drain()
    async with asyncio.timeout(20):
        await instance.task
    await instance.close()


async def test_thousand_pieces_arrive_in_few_frames(
    router: ScriptedRouter, instance: Instance
) -> None:
    side = await router.next_instance()
    await side.send(make_job())
    for number in range(1000):
        instance.engine.say("j1", f"{number} ")
    instance.engine.finish("j1")
    await side.wait_for_ending("j1")
    assert side.text("j1") == "".join(f"{number} " for number in range(1000))
    assert len(side.frames(Chunk)) < 100
    assert sum(chunk.tokens for chunk in side.frames(Chunk)) == 1000
    assert not [frame for frame in side.received if isinstance(frame, Batch)]


OTHER_MODEL = Model(name="other", context_tokens=10, max_output_tokens=5)


async def test_changed_models_are_announced_on_the_same_link(
    router: ScriptedRouter, instance: Instance
) -> None:
    side = await router.next_instance()
    instance.engine.serve(FED_MODEL, OTHER_MODEL)
    await side.wait_for(lambda: side.frames(ModelsChanged))
    (changed,) = side.frames(ModelsChanged)
    assert (changed.models, changed.slots) == ([FED_MODEL, OTHER_MODEL], 2)


async def test_pause_is_said_before_the_answers_that_fail_by_it_and_the_return_after_them(
    router: ScriptedRouter, instance: Instance
) -> None:
    side = await router.next_instance()
    await side.send(make_job())
    instance.engine.say("j1", "text")
    await side.wait_for(lambda: side.text("j1"))
    instance.engine.serve()
    instance.engine.fail("j1", GenerationError("engine_error", "it broke", retryable=True))
    await side.wait_for(lambda: side.ending("j1"))
    instance.engine.serve(FED_MODEL)
    await side.wait_for(lambda: len(side.frames(ModelsChanged)) == 2)
    said = [f for f in side.received if isinstance(f, ModelsChanged | Failed)]
    pause, failed, back = said
    assert isinstance(pause, ModelsChanged)
    assert pause.models == []
    assert isinstance(failed, Failed)
    assert isinstance(back, ModelsChanged)
    assert back.models == [FED_MODEL]


async def test_pause_while_the_link_is_away_is_said_on_the_next_one(
    router: ScriptedRouter, instance: Instance
) -> None:
    first = await router.next_instance()
    await first.send(make_job())
    instance.engine.say("j1", "text")
    await first.wait_for(lambda: first.text("j1"))
    first.websocket.transport.abort()
    instance.engine.serve()
    instance.engine.fail("j1", GenerationError("engine_error", "it broke", retryable=True))
    instance.engine.serve(FED_MODEL)
    second = await router.next_instance()
    assert second.hello.models == [FED_MODEL]
    await second.wait_for(lambda: len(second.frames(ModelsChanged)) == 2)
    said = [f for f in second.received if isinstance(f, ModelsChanged | Failed)]
    assert [f.models if isinstance(f, ModelsChanged) else f.code for f in said] == [
        [],
        "engine_error",
        [FED_MODEL],
    ]
