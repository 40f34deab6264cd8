"""Several processes of one site, on one Redis, give out exactly what there is."""

import os
import secrets
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.sites import ROOT

PROCESSES = 4


@pytest.fixture
def take(redis_url: str) -> Callable[..., list[int]]:
    """Let four processes take at the same moment; return how many each of them got."""

    def run(visitor_key: str, address: str, wanted: int, then: str, **env: str) -> list[int]:
        command = [sys.executable, "-m", "tests.integration.demo.taker"]
        takers = [
            subprocess.Popen(
                [*command, visitor_key, address, str(wanted), then],
                cwd=ROOT,
                env={**os.environ, "REDIS_URL": redis_url, **env},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(PROCESSES)
        ]
        for taker in takers:
            assert taker.stdout is not None
            assert taker.stdout.readline() == "ready\n"
        for taker in takers:
            assert taker.stdin is not None
            taker.stdin.write("go\n")
            taker.stdin.flush()
        return [int(taker.communicate(timeout=60)[0]) for taker in takers]

    return run


def address() -> str:
    return f"2001:db8:{secrets.randbelow(65536):x}:{secrets.randbelow(65536):x}::1"


def test_visitor_gets_the_limit_and_no_more(take: Callable[..., list[int]]) -> None:
    got = take(secrets.token_hex(8), address(), 50, "end", DEMO_LIMIT="37/day")
    assert sum(got) == 37
    assert min(got) > 0


def test_visitor_has_one_answer_running_in_all_of_them(take: Callable[..., list[int]]) -> None:
    got = take(secrets.token_hex(8), address(), 50, "run", DEMO_LIMIT="1000/day")
    assert sum(got) == 1
