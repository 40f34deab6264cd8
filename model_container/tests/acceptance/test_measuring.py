"""The commands that look before they leap, as an operator meets them."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from motherfluxer_model.testing.hub import FakeHub
from motherfluxer_model.testing.proxy import ConnectProxy
from motherfluxer_model.testing.router import ScriptedRouter
from motherfluxer_wire.tokens import make_token

CREDENTIAL = make_token("mfi", lambda below: below // 3).text
PASSWORD = "geheim"


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    output: str
    talk: str


async def run_command(*argv: str, **env: str) -> Ended:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MOTHERFLUXER_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "motherfluxer_model.cli", *argv),
        env={**clean, **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(120):
        output, talk = await process.communicate()
    return Ended(process.returncode or 0, output.decode(), talk.decode())


@pytest.fixture
async def router() -> AsyncIterator[ScriptedRouter]:
    async with ScriptedRouter() as router:
        yield router


async def check(router: ScriptedRouter, **env: str) -> Ended:
    argv = ("--router", router.url, "--engine", "echo", "--health-port", "0", "--name", "box-1")
    ended = await run_command("check", *argv, MOTHERFLUXER_CREDENTIAL=CREDENTIAL, **env)
    assert CREDENTIAL not in ended.output + ended.talk
    assert PASSWORD not in ended.output + ended.talk
    return ended


async def test_check_finds_a_good_machine_good(router: ScriptedRouter) -> None:
    ended = await check(router)
    assert ended.code == 0, ended.output + ended.talk
    assert "FAILED" not in ended.output
    assert ended.output.splitlines()[-1].startswith("0 failures")


async def test_check_ends_with_the_code_of_the_refusal(router: ScriptedRouter) -> None:
    router.refuse_with = (401, {})
    ended = await check(router)
    assert ended.code == 3
    assert "FAILED   router" in ended.output


async def test_proxy_of_the_environment_is_used_and_its_password_never_shown(
    router: ScriptedRouter,
) -> None:
    async with ConnectProxy(login=f"me:{PASSWORD}") as proxy:
        ended = await check(router, HTTPS_PROXY=proxy.url(f"me:{PASSWORD}"), NO_PROXY="")
        assert ended.code == 0, ended.output + ended.talk
        assert f"the proxy 127.0.0.1:{proxy.port}" in ended.output
        assert proxy.targets
        ended = await check(router, HTTPS_PROXY=proxy.url(f"you:{PASSWORD}"), NO_PROXY="")
        assert ended.code == 1
        assert "wants a name and password" in ended.output


async def test_check_of_a_hubs_model_tells_its_size_and_fetches_it(
    router: ScriptedRouter, model_folder: Path, tmp_path: Path
) -> None:
    hub = FakeHub("someone/phi", model_folder)
    argv = ("--router", router.url, "--model", "someone/phi", "--health-port", "0", "--slots", "1")
    with hub:
        env = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path), "NO_PROXY": "127.0.0.1"}
        env["MOTHERFLUXER_CREDENTIAL"] = CREDENTIAL
        ended = await run_command("check", *argv, **env)
        assert ended.code == 0, ended.output + ended.talk
        assert " to fetch, " in ended.output
        assert "ok       model       phi: loaded" in ended.output
        unknown = await run_command("check", *argv, "--model", "someone/other", **env)
    assert unknown.code == 4
    (line,) = [line for line in unknown.output.splitlines() if line.startswith("FAILED   weights")]
    assert "none of this name" in line


async def test_bench_prints_a_table_and_tells_how_far_it_is() -> None:
    argv = ("--engine", "echo", "--echo-delay-ms", "1", "--concurrency", "1,2", "--seconds", "0.1")
    ended = await run_command("bench", *argv)
    assert ended.code == 0
    head, one, two, *_ = ended.output.splitlines()
    assert "tokens/s" in head
    assert (one.split()[0], two.split()[0]) == ("1", "2")
    assert "2 at once" in ended.talk


async def test_bench_of_a_real_model_prints_json_alone(model_folder: Path) -> None:
    argv = ("--model", str(model_folder), "--concurrency", "2", "--seconds", "0.1", "--json")
    ended = await run_command("bench", *argv)
    assert ended.code == 0
    figures = json.loads(ended.output)
    assert figures["levels"][0]["concurrency"] == 2
    assert figures["levels"][0]["tokens_per_s"] > 0


async def test_bench_of_a_model_that_is_none_says_so(tmp_path: Path) -> None:
    ended = await run_command("bench", "--model", str(tmp_path))
    assert (ended.code, ended.output) == (4, "")
    assert "cannot load" in ended.talk
