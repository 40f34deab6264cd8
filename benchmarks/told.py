"""A process of a measurement that is asked, by lines, how far it is."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Final

from motherfluxer.processes import die_with_parent
from tests.sites import ROOT

VARIABLE: Final = "BENCH_CREDENTIAL"


class Told:
    """A module of `benchmarks` in a process of its own."""

    def __init__(self, module: str, *arguments: str, secret: str) -> None:
        own_pid = os.getpid()
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.{module}", *arguments],
            cwd=ROOT,
            env={**os.environ, VARIABLE: secret},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: die_with_parent(own_pid),
        )

    def ask(self, word: str = "") -> dict[str, Any]:
        """Return its tally. Word "reset": it begins a new one afterwards."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(word, file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline())
        assert isinstance(answer, dict)
        return answer

    def close(self) -> None:
        """End it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()


async def answer(tally: Callable[[], dict[str, Any]], reset: Callable[[], None]) -> None:
    """Be such a process, until nobody asks any more."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        print(json.dumps(tally()), flush=True)
        if line.strip() == b"reset":
            reset()
