"""PostgreSQL stops and comes back: what is refused is refused clearly, nothing taken is lost."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.sites import running_site
from tests.acceptance.chats import StreamedAnswer
from tests.acceptance.visitors import Visitor
from tests.servers import Server, running_postgres
from tests.sites import Site, wait_until

WORDS = " ".join(f"word{n}" for n in range(40))
SLOW = {"MOTHERFLUXER_ECHO_DELAY_MS": "100"}
# Nobody stares at a page that says nothing; machines of the suite are slow and shared.
CLEAR_S = 10.0


@pytest.fixture
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def own_site(postgres: Server, tmp_path: Path) -> Iterator[Site]:
    with running_site(tmp_path, DATABASE_URL=postgres.url) as site:
        yield site


def refused(site: Site, method: str, path: str, **headers: str) -> tuple[int, dict[str, str], Any]:
    """Send a request that is to be refused, and see that it does not hang."""
    started_at = time.monotonic()
    response = site.request(method, path, headers={"Host": site.host(), **headers})
    assert time.monotonic() - started_at < CLEAR_S
    assert (response.status, response.headers["retry-after"]) == (503, "5"), response.text
    return response.status, response.headers, response


def see_refusals(site: Site, key: str) -> None:
    """What needs the database says so, each in its own form."""
    bearer = f"Bearer {key}"
    *_, reply = refused(site, "GET", "/v1/models", Authorization=bearer)
    assert reply.json()["error"]["code"] == "database_away"
    *_, reply = refused(site, "GET", "/api/conversations/", Authorization=bearer)
    assert reply.json()["code"] == "database_away"
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    upgrade |= {"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
    upgrade |= {"Sec-WebSocket-Protocol": "motherfluxer.v1", "Authorization": "Bearer mfi_x"}
    *_, reply = refused(site, "GET", "/ws/instances/", **upgrade)
    assert reply.json()["error"]["code"] == "database_away"
    assert site.get("/healthz").status == 200
    assert site.get("/readyz").status == 503


async def ask_in_vain(visitor: Visitor, told: dict[str, Any], other: Visitor) -> None:
    """Read and ask while nothing can be looked up or stored."""
    html = {"Accept": "text/html"}
    page = await visitor.client.get(told["conversation_url"], headers=html)
    assert (page.status_code, page.headers["retry-after"]) == (503, "5")
    assert "Back in a moment" in page.text
    reply = await other.try_ask("And?")
    assert reply.status_code == 503
    assert reply.json()["error"]["code"] == "database_away"


def test_answer_that_ends_meanwhile_is_kept_and_all_else_is_refused_in_words(
    own_site: Site, postgres: Server
) -> None:
    site, key = own_site, own_site.api_key()
    instance = site.start_instance(name="slow", env=SLOW).wait_connected()

    async def ask() -> tuple[Visitor, dict[str, Any], Visitor]:
        visitor, other = Visitor(site), Visitor(site)
        await other.page()
        assert await visitor.left() == "10 of 10 left today"
        return visitor, await visitor.ask(WORDS), other

    with asyncio.Runner() as runner:
        visitor, told, other = runner.run(ask())
        programs = StreamedAnswer(site, key, WORDS, model="echo")
        pieces = programs.pieces()
        next(pieces)
        postgres.stop()
        see_refusals(site, key)
        runner.run(ask_in_vain(visitor, told, other))
        for _ in pieces:
            pass
        programs.hang_up()
        assert (programs.text, programs.finish_reason) == (WORDS, "stop")
        assert instance.is_connected
        assert instance.is_running
        postgres.start()

        def is_back() -> bool:
            return site.get("/readyz").status == 200

        wait_until(is_back, "ready again")
        reply = runner.run(whole_stream(visitor, told))
        assert "event: end" in reply
        page = runner.run(visitor.client.get(told["conversation_url"])).text
        page = page.split('data-state="complete"')[1]
        assert WORDS in page
        assert runner.run(visitor.left()) == "9 of 10 left today"
        assert runner.run(other.left()) == "10 of 10 left today"
        for one in (visitor, other):
            runner.run(one.client.aclose())
        assert site.get("/v1/models", Authorization=f"Bearer {key}").status == 200


async def whole_stream(visitor: Visitor, told: dict[str, Any]) -> str:
    """Read an answer's stream to its end."""
    return (await visitor.client.get(told["stream_url"])).text
