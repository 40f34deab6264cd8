"""How much later the first token comes through the whole site than from the engine alone.

Both run side by side with the bundled model: one process of the engine, and a site of its own with
one instance. Each round asks both the same question, in changing order; the goal is a difference
of the medians of at most 10 ms.
"""

import argparse
import contextlib
import http.client
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from benchmarks.sites import running_site
from motherfluxer_wire.codec import encode
from motherfluxer_wire.frames import Job, Message, Sampling
from tests.sites import ROOT, TINY_MODEL, Site

GOAL_MS: Final = 10.0
MAX_TOKENS: Final = 24
WARM_ROUNDS: Final = 5
QUESTIONS: Final = (
    "What is MotherFluxer?",
    "How does the router choose an instance?",
    "What happens when an instance dies?",
    "Who can see my messages?",
    "How do I run an instance?",
    "Hello! How are you?",
)


@dataclass
class Times:
    """Seconds to the first text, and to the end."""

    first_s: list[float] = field(default_factory=list)
    whole_s: list[float] = field(default_factory=list)


class Asker(Protocol):
    """Whoever answers a question and says how long it took."""

    def ask(self, question: str, number: int) -> tuple[float, float, str]:
        """Return the seconds to the first text and to the end, and the answer."""
        ...


class Alone:
    """The engine in a process of its own."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.engine_alone", str(TINY_MODEL)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._line() == "ready"

    def ask(self, question: str, number: int) -> tuple[float, float, str]:
        """Return the seconds to the first text and to the end, and the answer."""
        sampling = Sampling(max_tokens=MAX_TOKENS, temperature=0.0, seed=1)
        turn = Message("user", question)
        job = Job(f"job-{number}", 1, "alone", [turn], sampling=sampling)
        assert self.process.stdin is not None
        self.process.stdin.write(encode(job) + "\n")
        self.process.stdin.flush()
        told = json.loads(self._line())
        return told["first_s"], told["whole_s"], told["text"]

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


class Through:
    """The whole site, asked as an OpenAI client asks."""

    def __init__(self, site: Site, key: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", site.port)
        self.connection.connect()
        self.headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def ask(self, question: str, number: int) -> tuple[float, float, str]:
        """Return the seconds to the first text and to the end, and the answer."""
        body = json.dumps(
            {
                "model": TINY_MODEL.name,
                "messages": [{"role": "user", "content": question}],
                "stream": True,
                "max_tokens": MAX_TOKENS,
                "temperature": 0,
            }
        )
        text, first_s = "", 0.0
        started_at = time.perf_counter()
        self.connection.request("POST", "/v1/chat/completions", body, self.headers)
        response = self.connection.getresponse()
        assert response.status == 200, response.read()
        for line in response:
            if not line.startswith(b"data: {"):
                continue
            for choice in json.loads(line[6:])["choices"]:
                if piece := choice["delta"].get("content"):
                    first_s = first_s or time.perf_counter() - started_at
                    text += piece
        return first_s, time.perf_counter() - started_at, text


@contextlib.contextmanager
def serving_site() -> Iterator[tuple[Site, str]]:
    """Run a site with one instance of the bundled model; yield it with an API key."""
    with running_site() as site:
        site.start_instance("transformers").wait_connected()
        yield site, site.api_key()


def measure(alone: Alone, through: Through, rounds: int) -> tuple[Times, Times]:
    """Ask both in turn; the answers must be the same."""
    times = (Times(), Times())
    for number in range(WARM_ROUNDS + rounds):
        question = QUESTIONS[number % len(QUESTIONS)]
        askers: list[tuple[Times, Asker]] = [(times[0], alone), (times[1], through)]
        texts = set()
        for kept, asker in askers if number % 2 else reversed(askers):
            first_s, whole_s, text = asker.ask(question, number)
            texts.add(text)
            if number >= WARM_ROUNDS:
                kept.first_s.append(first_s)
                kept.whole_s.append(whole_s)
        assert len(texts) == 1, texts
    return times


def table(alone: Times, through: Times) -> str:
    """Return medians and 95th percentiles side by side."""
    rows = [
        f"{'':<20}{'engine alone':>16}{'whole site':>16}{'difference':>16}{'ratio':>8}",
    ]
    for title, ours, theirs in (
        ("first token", alone.first_s, through.first_s),
        ("whole answer", alone.whole_s, through.whole_s),
    ):
        for name, cut in (("best tenth", 10), ("median", 50), ("p95", 95)):
            a = statistics.quantiles(ours, n=100)[cut - 1] * 1000
            b = statistics.quantiles(theirs, n=100)[cut - 1] * 1000
            rows.append(
                f"{title + ', ' + name:<24}{a:>9.1f} ms{b:>13.1f} ms{b - a:>13.1f} ms{b / a:>8.2f}"
            )
    return "\n".join(rows)


def main() -> int:
    """Measure and print; 0 when the goal is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    rounds = parser.parse_args().rounds
    print(f"First token, {rounds} rounds, greedy, {MAX_TOKENS} tokens, one question at a time")
    alone = Alone()
    try:
        with serving_site() as (site, key):
            times = measure(alone, Through(site, key), rounds)
    finally:
        alone.close()
    print(table(*times))
    cost_ms = (statistics.median(times[1].first_s) - statistics.median(times[0].first_s)) * 1000
    print(f"\nThe site costs {cost_ms:.1f} ms to the first token; the goal is {GOAL_MS:.0f} ms.")
    return 0 if cost_ms <= GOAL_MS else 1


if __name__ == "__main__":
    sys.exit(main())
