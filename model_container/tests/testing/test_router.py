"""The fake router itself: a fake that is wrong makes tests that are wrong."""

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from motherfluxer_model.testing.engine import FED_MODEL
from motherfluxer_model.testing.router import ScriptedRouter, make_job
from motherfluxer_wire import codec
from motherfluxer_wire.frames import Batch, Chunk, Done, Hello, ResumeOffer, Usage, Welcome

HELLO = Hello("test/1", "box-1", [FED_MODEL], 1, resume=[ResumeOffer("j1", 1, 4)])
PROTOCOL = [Subprotocol("motherfluxer.v1")]


async def test_hello_is_welcomed_and_offers_are_taken_up() -> None:
    async with ScriptedRouter() as router, connect(router.url, subprotocols=PROTOCOL) as socket:
        await socket.send(codec.encode(HELLO))
        welcome = codec.decode_from_router(await socket.recv())
        assert isinstance(welcome, Welcome)
        assert [(r.job, r.from_seq) for r in welcome.resume] == [("j1", 4)]
        side = await router.next_instance()
        assert side.hello == HELLO
        await side.send(make_job())
        assert codec.decode_from_router(await socket.recv()) == make_job()


async def test_batches_are_opened_and_text_is_joined() -> None:
    async with ScriptedRouter() as router, connect(router.url, subprotocols=PROTOCOL) as socket:
        await socket.send(codec.encode(HELLO))
        side = await router.next_instance()
        done = Done("j1", 1, 2, "stop", Usage(1, 2))
        frames: list[Chunk | Done] = [Chunk("j1", 1, 0, "a", 1), Chunk("j1", 1, 1, "b", 1), done]
        await socket.send(codec.encode(Batch([*frames])))
        assert await side.wait_for_ending("j1") == done
        assert side.text("j1") == "ab"
        assert side.raw_count == 1


async def test_refusing_router_answers_with_the_status_it_was_told() -> None:
    async with ScriptedRouter() as router:
        router.refuse_with = (429, {"Retry-After": "7"})
        with pytest.raises(InvalidStatus) as caught:
            await connect(router.url, subprotocols=PROTOCOL)
        assert caught.value.response.status_code == 429
        assert caught.value.response.headers["Retry-After"] == "7"
        assert router.refused_count == 1
