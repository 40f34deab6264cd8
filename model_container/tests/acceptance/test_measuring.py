"""The commands that look before they leap, as an operator meets them."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path


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
