"""The whole site on raw sockets: clear refusals, and a restart that loses nothing."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.acceptance.chats import StreamedAnswer
from tests.sites import Site, wait_until

HELLO = {
    "type": "hello",
    "agent": "test/1",
    "instance": "raw",
    "models": [{"name": "raw", "context_tokens": 64, "max_output_tokens": 64}],
    "slots": 1,
}
WORDS = " ".join(f"wörd{n}🙂" for n in range(60))
SLOW = {"MOTHERFLUXER_ECHO_DELAY_MS": "40"}


async def send_text_bytes(link: ClientConnection, data: bytes) -> None:
    """Send bytes as a text frame, whether they are text or not."""
    await link.send(data, text=True)


REFUSALS: list[tuple[str, bytes | str]] = [
    ("frame_too_large: over 1048576 bytes", b"x" * 10_000_000),
    ("invalid_utf8: text that is not UTF-8", '{"type": "draining", "note": "ü'.encode()[:-1]),
    ("invalid_json: ", b"{"),
    ("unknown_type: ", b'{"type": "hocus"}'),
    ("invalid_frame: ", b'{"type": "heartbeat"}'),
    ("second_hello: ", json.dumps(HELLO).encode()),
    ("not_text: ", "binary"),
]


def open_link(site: Site, credential: str) -> connect:
    """Open an instance's websocket."""
    return connect(
        f"ws://127.0.0.1:{site.port}/ws/instances/",
        additional_headers={"Authorization": f"Bearer {credential}"},
        subprotocols=["motherfluxer.v1"],  # type: ignore[list-item]
        compression=None,
    )


@pytest.mark.parametrize("path", ["/", "/healthz", "/ws/instances/more"])
async def test_a_websocket_where_there_is_none_is_refused_and_no_fault(
    shared_site: Site, path: str
) -> None:
    with pytest.raises(InvalidStatus) as caught:
        await connect(f"ws://127.0.0.1:{shared_site.port}{path}")
    assert caught.value.response.status_code == 403


async def said_hello(link: ClientConnection, **changes: Any) -> dict[str, Any]:
    """Introduce oneself; return the welcome."""
    await link.send(json.dumps({**HELLO, **changes}))
    welcome: dict[str, Any] = json.loads(await link.recv())
    assert welcome["type"] == "welcome"
    return welcome


@pytest.fixture(scope="module")
def credential(shared_site: Site) -> str:
    return shared_site.issue_credential("raw")


@pytest.mark.parametrize(("reason", "sent"), REFUSALS, ids=[reason for reason, _ in REFUSALS])
async def test_a_bad_frame_is_refused_by_name_and_disturbs_nobody(
    shared_site: Site, credential: str, reason: str, sent: bytes | str
) -> None:
    async with (
        open_link(shared_site, credential) as neighbour,
        open_link(shared_site, credential) as link,
    ):
        await said_hello(neighbour, instance="neighbour")
        await said_hello(link)
        with contextlib.suppress(ConnectionClosed):
            if isinstance(sent, str):
                await link.send(sent.encode())
            else:
                await send_text_bytes(link, sent)
        await link.wait_closed()
        assert link.close_code == 4000
        assert (link.close_reason or "").startswith(reason)
        await neighbour.send(json.dumps({"type": "heartbeat", "running": [], "slots": 1}))
        await (await neighbour.ping())
    assert (await asyncio.to_thread(shared_site.get, "/healthz")).status == 200


async def keep_beating(link: ClientConnection) -> None:
    """Send heartbeats until cancelled."""
    while True:
        await link.send(json.dumps({"type": "heartbeat", "running": [], "slots": 1}))
        await asyncio.sleep(0.5)


async def test_ten_thousand_garbage_frames_leave_the_others_alone(
    shared_site: Site, credential: str
) -> None:
    async with open_link(shared_site, credential) as neighbour:
        await said_hello(neighbour, instance="neighbour")
        beating = asyncio.create_task(keep_beating(neighbour))
        for _ in range(100):
            async with open_link(shared_site, credential) as link:
                with contextlib.suppress(ConnectionClosed):
                    for _ in range(100):
                        await send_text_bytes(link, b'{"type": "hello", "agent": 1}')
                await link.wait_closed()
                assert link.close_code == 4000
        beating.cancel()
        await (await neighbour.ping())


def in_background(work: Callable[[], object]) -> threading.Thread:
    """Start something beside the test."""
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_stop_lets_running_answers_end(site: Site) -> None:
    key = site.api_key()
    instance = site.start_instance(env=SLOW).wait_connected()
    answer = StreamedAnswer(site, key, WORDS, model="echo")
    stopped: list[int] = []
    threads: list[threading.Thread] = []
    whole = answer.read(
        3, lambda: threads.append(in_background(lambda: stopped.append(site.stop())))
    )
    assert whole == WORDS
    assert answer.finish_reason == "stop"
    threads[0].join()
    assert site.program is not None
    assert "Traceback" not in site.program.output
    wait_until(lambda: not instance.is_connected, "the instance has noticed")
    site.start()
    instance.wait_connected()
    assert StreamedAnswer(site, key, WORDS, model="echo").read() == WORDS
