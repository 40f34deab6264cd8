"""Many idle links and many running streams for minutes: memory, errors, and what a link costs.

    python -m benchmarks.links_soak [--minutes 10] [--links 2000] [--streams 500] [--apart]

A row is printed each minute. `--apart`: two web processes and a router over Redis, links and
readers halved between the two; otherwise one process. A link costs what the site uses with all
links idle more than with none. Instances and readers are fakes in processes of their own.
"""

import argparse
import contextlib
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import psutil

from benchmarks.apart_cost import environment, pid_of, processor_s
from benchmarks.sites import running_site
from benchmarks.told import Told
from tests.servers import running_servers
from tests.sites import Site, wait_until

FAKES_BY_WEB: Final = 2
FILES_COUNT: Final = 16_384
IDLE_S: Final = 30.0
ANSWER_S: Final = 20.0
ALL_IN_S: Final = 300.0
SILENT: Final = "4000"  # the close code


@dataclass
class Soak:
    """A running site, its fakes, and what was seen of them."""

    parts: dict[str, int]
    webs: list[Site]
    instances: list[Told] = field(default_factory=list)
    readers: list[Told] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def link(self, options: argparse.Namespace, credential: str) -> None:
        """Connect all instances."""
        for number in range(fakes := len(self.webs) * FAKES_BY_WEB):
            port = self.webs[number % len(self.webs)].port
            arguments = ("--url", f"ws://127.0.0.1:{port}/ws/instances/", "--slots", "1")
            links = share(options.links, fakes, number)
            more = ("--name", f"fake-{number}", "--links", str(links), "--rate", str(options.rate))
            self.instances.append(Told("fake_instances", *arguments, *more, secret=credential))
        wait_until(lambda: self.linked() == options.links, "all linked", ALL_IN_S)

    def linked(self) -> int:
        """Return how many instances are linked now."""
        return sum(told.ask()["linked"] for told in self.instances)

    def read(self, options: argparse.Namespace, key: str) -> None:
        """Begin all streams."""
        for number, web in enumerate(self.webs):
            streams = share(options.streams, len(self.webs), number)
            tokens = int(options.rate * ANSWER_S)
            arguments = ("--port", str(web.port), "--streams", str(streams))
            more = ("--tokens", str(tokens), "--over-s", str(ANSWER_S))
            self.readers.append(Told("stream_readers", *arguments, *more, secret=key))
        most = int(options.streams * 0.95)  # between two answers a reader has none
        wait_until(lambda: self.reading() >= most, "the streams run", ALL_IN_S)

    def reading(self) -> int:
        """Return how many streams run now."""
        return sum(told.ask()["running"] for told in self.readers)

    def shares(self, seconds: float) -> dict[str, float]:
        """Return which share of a core each process uses in so many seconds."""
        before = {part: processor_s(pid) for part, pid in self.parts.items()}
        began = time.monotonic()
        time.sleep(seconds)
        took_s = time.monotonic() - began
        return {
            part: (processor_s(pid) - before[part]) / took_s for part, pid in self.parts.items()
        }

    def memory_mib(self) -> dict[str, float]:
        """Return each process's own share of memory (PSS)."""
        mib = 1024 * 1024
        return {
            part: psutil.Process(pid).memory_full_info().pss / mib
            for part, pid in self.parts.items()
        }

    def tally(self) -> dict[str, int]:
        """Return what the fakes saw since the last time, and keep its errors."""
        told: list[dict[str, Any]] = [readers.ask("reset") for readers in self.readers]
        for each in told:
            self.errors.update(each["errors"])
        return {name: sum(each[name] for each in told) for name in ("tokens", "answers", "running")}

    def broken(self) -> tuple[dict[str, int], int]:
        """Return how many links have broken, by close code, and heartbeats that fakes sent late."""
        closed, late = Counter[str](), 0
        for told in self.instances:
            tally = told.ask()
            closed.update(tally["closed"])
            late += tally["late_beats"]
        return dict(closed), late

    def close(self) -> None:
        """End all fakes."""
        for told in (*self.readers, *self.instances):
            told.close()


def share(whole: int, parts: int, number: int) -> int:
    """Return one part's count of a whole that is divided evenly."""
    return whole // parts + (number < whole % parts)


@contextlib.contextmanager
def running_soak(options: argparse.Namespace) -> Iterator[tuple[Soak, Site]]:
    """Run the site, without any fakes yet."""
    title = "apart" if options.apart else "one process"
    with (
        running_servers() as servers,
        running_site(None, **environment(servers, title, 0)) as site,
    ):
        webs = [site, site.add_web()] if options.apart else [site]
        parts = {f"web {number + 1}": pid_of(web.program) for number, web in enumerate(webs)}
        if options.apart:
            parts["router"] = pid_of(site.routers[0])
        soak = Soak(parts, webs)
        try:
            yield soak, site
        finally:
            soak.close()


def row(*cells: object) -> str:
    """Return a line of a table."""
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def rounded(values: dict[str, float], digits: int = 0) -> list[str]:
    """Return values as cells."""
    return [f"{value:.{digits}f}" for value in values.values()]


def print_link_cost(soak: Soak, options: argparse.Namespace, credential: str) -> None:
    """Link all instances; print what a link costs while it is idle."""
    memory, cores = soak.memory_mib(), soak.shares(IDLE_S / 2)
    soak.link(options, credential)
    now, busy = soak.memory_mib(), soak.shares(IDLE_S)
    print(f"{options.links} idle links", row("", *soak.parts), sep="\n")
    print(row("---", *("---:" for _ in soak.parts)))
    print(row("memory without links, MiB", *rounded(memory)))
    print(row("with all links, MiB", *rounded(now)))
    print(row("CPU, % of a core", *(f"{busy[part] * 100:.1f}" for part in busy)))
    grown_kib = (sum(now.values()) - sum(memory.values())) * 1024 / options.links
    used_us = (sum(busy.values()) - sum(cores.values())) * 1e6 / options.links
    print(f"a link: {grown_kib:.1f} KiB, {used_us:.0f} µs of a core's second\n", flush=True)


def print_minutes(soak: Soak, options: argparse.Namespace, key: str) -> None:
    """Run the streams; print a row each minute."""
    soak.read(options, key)
    soak.tally()
    parts = [f"{part}, MiB" for part in soak.parts] + [f"{part}, % CPU" for part in soak.parts]
    print(row("minute", "links", "streams", "tokens/s", *parts, "errors", "broken links"))
    print(row(*("---:" for _ in range(len(parts) + 6))), flush=True)
    for minute in range(1, options.minutes + 1):
        shares = soak.shares(60.0)
        seen, (closed, _) = soak.tally(), soak.broken()
        cells = [*rounded(soak.memory_mib()), *rounded({p: s * 100 for p, s in shares.items()})]
        counts = (soak.linked(), seen["running"], f"{seen['tokens'] / 60:.0f}")
        print(row(minute, *counts, *cells, dict(soak.errors) or 0, closed or 0), flush=True)


def main() -> int:
    """Measure and print; 0 when no link broke and nothing failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--links", type=int, default=2000)
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--rate", type=float, default=10.0, help="tokens a second and stream")
    parser.add_argument("--apart", action="store_true")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES_COUNT, hard), hard))
    with running_soak(options) as (soak, site):
        print_link_cost(soak, options, site.issue_credential())
        print_minutes(soak, options, site.api_key())
        closed, late = soak.broken()
    print(f"\nerrors: {dict(soak.errors) or 'none'}; links broken: {closed or 'none'}")
    print(f"closed by the router as silent: {closed.get(SILENT, 0)};", end=" ")
    print(f"heartbeats that the fakes sent late: {late}")
    return 1 if soak.errors or closed else 0


if __name__ == "__main__":
    sys.exit(main())
