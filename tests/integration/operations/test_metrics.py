"""What Prometheus is told, and whom else nothing is told."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from pytest_django import Settings

from apps.operations import metrics
from apps.operations.metrics import metrics_text
from apps.router.live.runtime import LiveRouter, running_router
from apps.router.selectors import router_view
from motherfluxer.asgi import application
from tests.integration.operations.test_health import _join

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "a-token-that-nobody-guesses"


@pytest.fixture
async def router() -> AsyncIterator[LiveRouter]:
    async with running_router() as running:
        yield running


async def ask(
    path: str = "/metrics", *, client: str = "127.0.0.1", host: str = "localhost:8000", **more: str
) -> tuple[int, str]:
    """Ask the whole application; `more`: further headers."""
    given = {"host": host, **{name.replace("_", "-"): value for name, value in more.items()}}
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "scheme": "http",
        "client": (client, 1),
        "server": ("x", 80),
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }
    sent: list[dict[str, Any]] = []
    asked = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not asked:
            await asyncio.Event().wait()  # it stays connected
        return asked.pop()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await application(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], body.decode()


def value_of(text: str, name: str) -> float:
    [found] = re.findall(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found)


async def test_figures_of_the_router_are_told(router: LiveRouter) -> None:
    _, before = await ask()
    assert value_of(before, "motherfluxer_instances_online") == 0
    assert value_of(before, "motherfluxer_queue_oldest_wait_seconds") == 0
    await _join(router)
    status, text = await ask()
    assert status == 200
    assert value_of(text, "motherfluxer_instances_online") == 1
    assert value_of(text, "motherfluxer_links") == 1
    assert value_of(text, "motherfluxer_streams") == 0
    for service_class in ("registered", "demo"):
        assert value_of(text, f'motherfluxer_queue_waiting{{service_class="{service_class}"}}') == 0
    assert value_of(text, "process_resident_memory_bytes") > 10_000_000


async def test_takeovers_and_ends_of_attempts_are_told(
    router: LiveRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = replace(router_view(), failovers=2, outcomes={"done": 5, "link_lost": 1})
    monkeypatch.setattr(metrics, "router_view", lambda: view)
    _, text = await ask()
    assert value_of(text, "motherfluxer_failovers_total") == 2
    assert value_of(text, 'motherfluxer_attempts_total{outcome="done"}') == 5
    assert value_of(text, 'motherfluxer_attempts_total{outcome="link_lost"}') == 1


async def test_each_response_counts_once_in_its_class(router: LiveRouter) -> None:
    def counts(text: str) -> list[float]:
        name = 'motherfluxer_http_responses_total{{status_class="{}"}}'
        return [value_of(text, name.format(one)) for one in ("2xx", "4xx", "5xx")]

    before = counts(metrics_text().decode())
    assert (await ask("/healthz"))[0] == 200
    assert (await ask("/nothing-here"))[0] == 404
    assert (await ask("/v1/models"))[0] == 401
    assert (await ask("/readyz"))[0] == 503
    after = counts(metrics_text().decode())
    assert [new - old for new, old in zip(after, before, strict=True)] == [1, 2, 1]


async def test_process_without_the_router_tells_of_itself() -> None:
    status, text = await ask()
    assert status == 200
    assert "motherfluxer_instances_online" not in text
    assert "motherfluxer_http_responses_total" in text


@pytest.mark.parametrize(
    "asker",
    [
        {"client": "192.0.2.1"},
        {"x_forwarded_for": "127.0.0.1"},
        {"forwarded": "for=127.0.0.1"},
        {"host": "motherfluxer.localhost"},
        {"host": "localhost.example.org"},
        {"client": "192.0.2.1", "authorization": "Bearer wrong"},
        {"client": "192.0.2.1", "authorization": f"Basic {TOKEN}"},
        {"client": "192.0.2.1", "authorization": "Bearer "},
    ],
)
async def test_nobody_else_is_told(asker: dict[str, str], settings: Settings) -> None:
    settings.METRICS_TOKEN = TOKEN
    status, text = await ask(**asker)
    assert status == 401
    assert "process_" not in text


async def test_without_a_token_no_token_opens(settings: Settings) -> None:
    settings.METRICS_TOKEN = None
    assert (await ask(client="192.0.2.1", authorization="Bearer None"))[0] == 401


@pytest.mark.parametrize("client", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:8000"])
async def test_this_machine_is_told(client: str, host: str) -> None:
    assert (await ask(client=client, host=host))[0] == 200


async def test_token_opens_from_anywhere(settings: Settings) -> None:
    settings.METRICS_TOKEN = TOKEN
    asker = {"client": "192.0.2.1", "host": "motherfluxer.localhost", "x_forwarded_for": "1.2.3.4"}
    assert (await ask(**asker, authorization=f"Bearer {TOKEN}"))[0] == 200
