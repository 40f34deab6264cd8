"""What an instance is told when the site can't take what it sends."""

import asyncio
from typing import Any

import pytest

from apps.router import ports
from apps.router.consumers import InstanceConsumer
from apps.router.errors import PostFullError
from apps.router.live import credential_limits, gateway_process
from apps.router.live.links import InstanceLink
from apps.router.live.runtime import running_router
from apps.router.ports import Admission
from motherfluxer_wire import limits
from motherfluxer_wire.codec import encode
from motherfluxer_wire.frames import FromInstance, Heartbeat, Hello, Model
from motherfluxer_wire.versions import PROTOCOLS

pytestmark = pytest.mark.django_db(transaction=True)

HELLO = Hello(
    agent="test/1",
    instance="box",
    models=[Model(name="tiny", context_tokens=512, max_output_tokens=128)],
    slots=1,
)


class OpenGate:
    """Lets everybody in and records nothing."""

    async def admit(self, *, credential: str | None, address: str) -> Admission:
        return Admission(credential_id="c", credential_name="x", operator_email="o@example.org")

    async def ended_credentials(self, credential_ids: frozenset[str]) -> frozenset[str]:
        return frozenset()

    async def instance_joined(self, admission: Admission, hello: Hello) -> None: ...

    async def instance_left(self, admission: Admission, instance_name: str) -> None: ...

    async def known_models(self) -> frozenset[str]:
        return frozenset()


async def closed_after(*frames: FromInstance) -> dict[str, Any]:
    """Say these frames on a link; return the message that closes it."""
    scope = {"headers": [], "query_string": b"", "subprotocols": list(PROTOCOLS)}
    said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    heard: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        heard.append(message)

    said.put_nowait({"type": "websocket.connect"})
    for frame in frames:
        said.put_nowait({"type": "websocket.receive", "text": encode(frame)})
    async with asyncio.timeout(20):
        await InstanceConsumer()(scope, said.get, send)
    return heard[-1]


async def test_link_is_closed_as_overloaded_when_letters_can_wait_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ports.instance_gate, "_object", OpenGate())
    async with running_router() as router:
        seen: list[InstanceLink] = []

        def full(frame: FromInstance, link: InstanceLink) -> None:
            seen.extend(router.gateway.links.values())
            raise PostFullError

        monkeypatch.setattr(router.gateway, "frame_received", full)
        close = await closed_after(HELLO, Heartbeat(running=[], slots=1))
        assert (close["type"], close["code"]) == ("websocket.close", limits.CLOSE_OVERLOADED)
        assert [link.name for link in seen] == ["box"], "it was taken in before"
        assert router.gateway.links == {}
        assert router.service.state.instances == {}


async def test_link_of_a_credential_whose_instances_say_too_much_is_closed_as_overloaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ports.instance_gate, "_object", OpenGate())
    monkeypatch.setattr(credential_limits, "SAID_MOST", len(HELLO.models))
    async with running_router() as router:
        closes = [(await closed_after(HELLO, HELLO)) for _ in range(2)]
        assert [close["code"] for close in closes] == [
            limits.CLOSE_PROTOCOL_ERROR,  # it said hello twice
            limits.CLOSE_OVERLOADED,
        ]
        assert router.gateway.links == {}
        assert router.service.state.instances == {}


class StuckGate(OpenGate):
    """Waits for a database that is away."""

    async def instance_left(self, admission: Admission, instance_name: str) -> None:
        await asyncio.Event().wait()


async def test_process_stops_though_what_has_left_cannot_be_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ports.instance_gate, "_object", StuckGate())
    monkeypatch.setattr(gateway_process, "RECORDS_WITHIN_S", 0.1)
    async with asyncio.timeout(20), running_router():
        for _ in range(4):
            await closed_after(HELLO, HELLO)
