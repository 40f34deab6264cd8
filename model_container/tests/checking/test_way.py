"""Looking at the way to the router: each step is told, and no instance is disturbed."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path

import pytest

from motherfluxer_model.checking import way
from motherfluxer_model.checking.way import check_ca_bundle, check_credential_form, check_way
from motherfluxer_model.core.findings import Finding, Grade
from motherfluxer_model.options import Options
from motherfluxer_model.testing.certificates import sign
from motherfluxer_model.testing.router import ScriptedRouter
from motherfluxer_wire.tokens import make_token

GOOD = make_token("mfi", lambda below: below // 2).text


@pytest.fixture
async def router() -> AsyncIterator[ScriptedRouter]:
    async with ScriptedRouter() as router:
        yield router


def options_for(router: ScriptedRouter) -> Options:
    return Options(router.url, "echo", GOOD, engine="echo", name="box-1")


async def look(options: Options) -> dict[str, Finding]:
    findings = [finding async for finding in check_way(options)]
    assert GOOD not in "".join(map(str, findings))
    return {finding.what: finding for finding in findings}


async def test_good_way_is_found_good_without_a_hello(router: ScriptedRouter) -> None:
    found = await look(options_for(router))
    assert list(found) == ["credential", "network", "encryption", "router", "pings", "clock"]
    assert {finding.grade for finding in found.values()} == {Grade.OK}
    async with asyncio.timeout(20):
        while not router.visits_count:  # noqa: ASYNC110  the router hears of the end a moment later
            await asyncio.sleep(0.001)
    assert router._arrivals.empty()


@pytest.mark.parametrize(("days", "grade"), [(30, Grade.OK), (2, Grade.WARNING)])
async def test_encryption_is_told_and_a_certificate_that_ends_soon_warned_of(
    tmp_path: Path, days: int, grade: Grade
) -> None:
    signed = sign(tmp_path, days=days)
    async with ScriptedRouter(signed.server) as router:
        found = await look(replace(options_for(router), ca_file=signed.ca_file))
        assert found["encryption"].grade is grade
        assert "TLS" in found["encryption"].words
        found = await look(options_for(router))
        assert "--ca-file" in found["router"].words


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (401, 3, "refuses the credential"),
        (403, 3, "refuses the credential"),
        (426, 6, "another protocol"),
        (404, 1, "no router at this address"),
        (503, 1, "answers 503: as told"),
    ],
)
async def test_refusal_is_told_with_its_exit_code(
    router: ScriptedRouter, status: int, code: int, words: str
) -> None:
    router.refuse_with = (status, {})
    finding = (await look(options_for(router)))["router"]
    assert (finding.grade, finding.exit_code) == (Grade.FAILED, code)
    assert words in finding.words


async def test_router_that_is_not_there_is_told(router: ScriptedRouter) -> None:
    options = replace(options_for(router), router_url="ws://127.0.0.1:9/ws/instances/")
    found = await look(options)
    assert list(found) == ["credential", "network"]
    assert found["network"].grade is Grade.FAILED


async def test_malformed_credential_is_not_shown_to_the_router(router: ScriptedRouter) -> None:
    found = await look(replace(options_for(router), credential=GOOD[:-1]))
    assert found["credential"].grade is found["router"].grade is Grade.FAILED
    assert found["router"].exit_code == 3
    assert router.visits_count == router.refused_count == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD[:-1] + "x", "mistyped"),
        (make_token("mf", lambda below: 0).text, "API key"),
        ("hunter2", "begins with mfi_"),
    ],
)
def test_what_is_no_credential_is_named(text: str, words: str) -> None:
    finding = check_credential_form(text)
    assert finding.grade is Grade.FAILED
    assert words in finding.words
    assert text not in finding.words


async def test_pings_that_nobody_answers_are_told(
    router: ScriptedRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(way, "PING_S", 0.0)
    finding = (await look(options_for(router)))["pings"]
    assert finding.grade is Grade.FAILED
    assert "swallow" in finding.words


@pytest.mark.parametrize(
    ("off_s", "grade", "words"),
    [
        (0, Grade.OK, "as the router"),
        (-3600, Grade.WARNING, "ahead"),
        (3600, Grade.WARNING, "behind"),
    ],
)
def test_clock_is_compared_with_the_routers(off_s: float, grade: Grade, words: str) -> None:
    finding = way.judge_clock(formatdate(time.time() + off_s, usegmt=True), time.time())
    assert finding.grade is grade
    assert words in finding.words


@pytest.mark.parametrize("told", [None, "", "yesterday"])
def test_router_without_a_clock_is_well(told: str | None) -> None:
    assert way.judge_clock(told, 0.0).grade is Grade.OK


def test_bundle_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert check_ca_bundle(None) is None
    assert check_ca_bundle(__file__) is None
    finding = check_ca_bundle(str(tmp_path / "missing.pem"))
    assert finding is not None
    assert finding.grade is Grade.WARNING
