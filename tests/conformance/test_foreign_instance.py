"""An instance written from the protocol's document alone: joins, serves, dies, resumes."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.acceptance.chats import StreamedAnswer
from tests.sites import Site

MODEL = {
    "name": "foreign-1",
    "context_tokens": 2048,
    "max_output_tokens": 512,
    "capabilities": ["chat", "continue"],
}


def hello(name: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "hello",
        "agent": "foreign/1",
        "instance": name,
        "models": [MODEL],
        "slots": 1,
        "resume": [],
        "an_unknown_field": {"is": "ignored"},
        **more,
    }


class Foreign:
    """A few words of the protocol over one websocket."""

    def __init__(self, link: ClientConnection) -> None:
        self.link = link

    async def say(self, **frame: Any) -> None:
        """Send a frame."""
        await self.link.send(json.dumps(frame))

    async def hear(self, kind: str) -> dict[str, Any]:
        """Return the next frame of a kind; others are passed over."""
        async with asyncio.timeout(20):
            while True:
                frame: dict[str, Any] = json.loads(await self.link.recv())
                if frame["type"] == kind:
                    return frame

    async def chunk(self, job: dict[str, Any], seq: int, text: str) -> None:
        """Send a piece of one token."""
        ids = {"job": job["job"], "attempt": job["attempt"]}
        await self.say(type="chunk", **ids, seq=seq, text=text, tokens=1)

    async def done(self, job: dict[str, Any], seq: int, reason: str = "stop") -> None:
        """End an attempt."""
        usage = {"prompt_tokens": 5, "completion_tokens": seq}
        ids = {"job": job["job"], "attempt": job["attempt"]}
        await self.say(type="done", **ids, seq=seq, finish_reason=reason, usage=usage)


@contextlib.asynccontextmanager
async def linked(site: Site, credential: str, **more: Any) -> AsyncIterator[ClientConnection]:
    async with connect(
        f"ws://127.0.0.1:{site.port}/ws/instances/",
        additional_headers={"Authorization": f"Bearer {credential}"},
        compression=None,
        close_timeout=1,
        **{"subprotocols": [websockets.Subprotocol("motherfluxer.v1")], **more},
    ) as link:
        yield link


@contextlib.asynccontextmanager
async def foreign(site: Site, credential: str, name: str, **more: Any) -> AsyncIterator[Foreign]:
    async with linked(site, credential) as link:
        instance = Foreign(link)
        await instance.say(**hello(name, **more))
        yield instance


async def ask(site: Site, key: str, text: str) -> tuple[StreamedAnswer, asyncio.Task[str]]:
    loop = asyncio.get_running_loop()
    made: asyncio.Future[StreamedAnswer] = loop.create_future()

    def read() -> str:
        answer = StreamedAnswer(site, key, text, model="foreign-1")
        loop.call_soon_threadsafe(made.set_result, answer)
        return answer.read()

    task = asyncio.create_task(asyncio.to_thread(read))
    return await made, task


async def close_of(link: ClientConnection) -> tuple[int, str]:
    async with asyncio.timeout(20):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await link.recv()
    assert link.close_code is not None
    return link.close_code, link.close_reason or ""


async def beat(instance: Foreign) -> None:
    """Say heartbeats until the link ends: a slow machine's command takes longer than three."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await instance.say(type="heartbeat", running=[], slots=1)
            await asyncio.sleep(1)


@pytest.fixture(scope="module")
def credential(shared_site: Site) -> str:
    return shared_site.issue_credential("foreign")


@pytest.fixture(scope="module")
def key(shared_site: Site) -> str:
    return shared_site.api_key("foreign@example.org")


async def test_it_joins_serves_and_is_acknowledged(
    shared_site: Site, credential: str, key: str
) -> None:
    async with foreign(shared_site, credential, "serves") as instance:
        welcome = await instance.hear("welcome")
        assert welcome["protocol"] == "motherfluxer.v1"
        assert welcome["resume"] == welcome["drop"] == []
        assert welcome["heartbeat_s"] > 0
        asked = asyncio.create_task(ask(shared_site, key, "hi"))
        job = await instance.hear("job")
        assert job["attempt"] == 1
        assert job["prefix"] == ""
        assert job["messages"] == [{"role": "user", "content": "hi"}]
        assert isinstance(job["sampling"]["seed"], int)
        for seq, text in enumerate(["Hel", "lo", " 🙂"]):
            await instance.chunk(job, seq, text)
            await instance.chunk(job, seq, text)  # a duplicate is ignored
        await instance.done(job, 3)
        answer, read = await asked
        assert await read == "Hello 🙂"
        assert answer.response.getheader("x-motherfluxer-instance") == "serves"
        assert (await instance.hear("ack"))["seq"] == 3


async def test_it_dies_and_resumes_what_nobody_else_took(
    shared_site: Site, credential: str, key: str
) -> None:
    async with foreign(shared_site, credential, "resumes") as instance:
        await instance.hear("welcome")
        asked = asyncio.create_task(ask(shared_site, key, "hi"))
        job = await instance.hear("job")
        await instance.chunk(job, 0, "one ")
        _, read = await asked
        instance.link.transport.abort()
    offer = {"job": job["job"], "attempt": 1, "next_seq": 3, "state": "running"}
    stale = {"job": "unknown", "attempt": 1, "next_seq": 0, "state": "running"}
    async with foreign(shared_site, credential, "resumes", resume=[offer, stale]) as instance:
        welcome = await instance.hear("welcome")
        assert welcome["resume"] == [{"job": job["job"], "attempt": 1, "from_seq": 1}]
        assert welcome["drop"] == ["unknown"]
        await instance.chunk(job, 1, "two ")
        await instance.chunk(job, 2, "three")
        await instance.done(job, 3)
        assert await read == "one two three"


async def test_it_is_told_to_stop_when_the_reader_hangs_up(
    shared_site: Site, credential: str, key: str
) -> None:
    async with foreign(shared_site, credential, "stops") as instance:
        await instance.hear("welcome")
        asking = asyncio.create_task(
            asyncio.to_thread(StreamedAnswer, shared_site, key, "hi", model="foreign-1")
        )
        job = await instance.hear("job")
        await instance.chunk(job, 0, "one ")
        (await asking).hang_up()
        cancel = await instance.hear("cancel")
        assert (cancel["job"], cancel["attempt"]) == (job["job"], 1)
        # The slot stays counted until the instance has stopped.
        asked = asyncio.create_task(ask(shared_site, key, "again"))
        await instance.done(job, 1, "cancelled")
        job = await instance.hear("job")
        assert job["messages"][0]["content"] == "again"
        await instance.chunk(job, 0, "yes")
        await instance.done(job, 1)
        _, read = await asked
        assert await read == "yes"


async def test_another_goes_on_from_the_prefix(
    shared_site: Site, credential: str, key: str
) -> None:
    async with foreign(shared_site, credential, "dies") as instance:
        await instance.hear("welcome")
        asked = asyncio.create_task(ask(shared_site, key, "hi"))
        job = await instance.hear("job")
        await instance.chunk(job, 0, "one ")
        _, read = await asked
        instance.link.transport.abort()
    async with foreign(shared_site, credential, "heir") as instance:
        job = await instance.hear("job")
        assert (job["attempt"], job["prefix"]) == (2, "one ")
        await instance.say(
            type="batch",
            frames=[
                {
                    "type": "chunk",
                    "job": job["job"],
                    "attempt": 1,
                    "seq": 1,
                    "text": "old",
                    "tokens": 1,
                },
                {
                    "type": "chunk",
                    "job": job["job"],
                    "attempt": 2,
                    "seq": 0,
                    "text": "two",
                    "tokens": 1,
                },
            ],
        )
        await instance.done(job, 1)
        assert await read == "one two"


async def test_it_pauses_and_goes_on_with_its_own_answer(
    shared_site: Site, credential: str, key: str
) -> None:
    async with foreign(shared_site, credential, "pauses") as instance:
        await instance.hear("welcome")
        asked = asyncio.create_task(ask(shared_site, key, "hi"))
        job = await instance.hear("job")
        await instance.chunk(job, 0, "one ")
        _, read = await asked
        await instance.say(type="models", models=[], slots=1)
        await instance.say(
            type="failed",
            job=job["job"],
            attempt=1,
            seq=1,
            code="engine_error",
            message="the engine broke down",
            retryable=True,
        )
        await instance.say(type="models", models=[MODEL], slots=1)
        job = await instance.hear("job")
        assert (job["attempt"], job["prefix"]) == (2, "one ")
        await instance.chunk(job, 0, "two")
        await instance.done(job, 1)
        assert await read == "one two"


async def test_newer_connection_replaces_the_older(shared_site: Site, credential: str) -> None:
    async with foreign(shared_site, credential, "twice") as older:
        await older.hear("welcome")
        async with foreign(shared_site, credential, "twice") as newer:
            await newer.hear("welcome")
            code, _ = await close_of(older.link)
            assert code == 4002


BROKEN_RULES = [
    ("{", "invalid_json"),
    ("[]", "invalid_frame"),
    ('{"type": "nonsense"}', "unknown_type"),
    ('{"type": "heartbeat", "running": "no", "slots": 1}', "invalid_frame"),
    ('{"type": "heartbeat", "running": [], "slots": 0}', "invalid_frame"),
    (json.dumps(hello("again")), "second_hello"),
    (b"\x00\x01", "not_text"),
    ('{"type":"chunk","job":"j","attempt":1,"seq":0,"tokens":1,"text":"\\ud83d"}', "invalid_json"),
    ("x" * 10_000_000, "frame_too_large"),
]


@pytest.mark.parametrize(("frame", "rule"), BROKEN_RULES)
async def test_broken_rule_closes_that_connection_alone(
    shared_site: Site, credential: str, frame: str | bytes, rule: str
) -> None:
    async with (
        foreign(shared_site, credential, "sibling") as sibling,
        foreign(shared_site, credential, "broken") as broken,
    ):
        await sibling.hear("welcome")
        await broken.hear("welcome")
        with contextlib.suppress(ConnectionClosed):
            await broken.link.send(frame)
        code, reason = await close_of(broken.link)
        assert code == 4000
        assert reason.startswith(rule)
        await sibling.say(type="heartbeat", running=[], slots=1)
        await (await sibling.link.ping())


async def test_gap_in_the_chunks_is_a_protocol_error_and_the_answer_goes_on(
    shared_site: Site, credential: str, key: str
) -> None:
    async with foreign(shared_site, credential, "gap") as instance:
        await instance.hear("welcome")
        asked = asyncio.create_task(ask(shared_site, key, "hi"))
        job = await instance.hear("job")
        await instance.chunk(job, 0, "one ")
        await instance.chunk(job, 2, "three")
        code, reason = await close_of(instance.link)
        assert (code, reason.split(":")[0]) == (4000, "chunk_gap")
        _, read = await asked
    async with foreign(shared_site, credential, "after-gap") as instance:
        job = await instance.hear("job")
        assert job["prefix"] == "one "
        await instance.chunk(job, 0, "two")
        await instance.done(job, 1)
        assert await read == "one two"


@pytest.mark.parametrize(
    "wrong", ["", "mfi_x", "mfi_" + "A" * 12 + "_" + "B" * 49, "Ünïcode", "x" * 5000]
)
async def test_wrong_credentials_get_one_and_the_same_answer(site: Site, wrong: str) -> None:
    headers = {"Authorization": f"Bearer {wrong}".encode().decode("latin-1")} if wrong else {}
    with pytest.raises(InvalidStatus) as refused:
        async with connect(
            f"ws://127.0.0.1:{site.port}/ws/instances/",
            additional_headers=headers,
            subprotocols=[websockets.Subprotocol("motherfluxer.v1")],
        ):
            pass
    response = refused.value.response
    assert response.status_code == 401
    assert json.loads(response.body or b"")["error"]["code"] == "invalid_credential"


async def test_subprotocol_must_be_offered(shared_site: Site, credential: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(
            f"ws://127.0.0.1:{shared_site.port}/ws/instances/",
            additional_headers={"Authorization": f"Bearer {credential}"},
        ):
            pass
    assert refused.value.response.status_code == 426
    assert b"motherfluxer.v1" in (refused.value.response.body or b"")


async def test_instance_that_knows_more_versions_is_served_in_the_one_both_speak(
    shared_site: Site, credential: str
) -> None:
    offered = [websockets.Subprotocol(f"motherfluxer.{v}") for v in ("v0-unknown", "v1")]
    async with linked(shared_site, credential, subprotocols=offered) as link:
        assert link.subprotocol == "motherfluxer.v1"
        instance = Foreign(link)
        await instance.say(**hello("both"))
        assert (await instance.hear("welcome"))["protocol"] == "motherfluxer.v1"


async def test_revoked_credential_cuts_the_live_link(site: Site) -> None:
    revoked = site.issue_credential("revoked")
    async with foreign(site, revoked, "cut") as instance:
        await instance.hear("welcome")
        command = asyncio.to_thread(site.manage, "revoke_credential", "revoked")
        revoking, beating = asyncio.create_task(command), asyncio.create_task(beat(instance))
        code, _ = await close_of(instance.link)
        assert code == 4001
        await asyncio.gather(revoking, beating)
    with pytest.raises(InvalidStatus) as refused:
        async with linked(site, revoked):
            pass
    assert refused.value.response.status_code == 401
