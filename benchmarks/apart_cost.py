"""What two web processes with Redis between them cost, against one process that does it all.

    python -m benchmarks.apart_cost [--streams 64] [--rate 50] [--seconds 20] [--rounds 2]

Two whole sites, asked in turns: in one a single process holds links, router and readers; in the
other all instances are linked to one web process, all readers ask another, and a router runs
beside. Instances and readers are fakes in processes of their own. Goals: at most 3 times the
processor time a token, web processes alone, and at most 5 ms later to the first token (medians).
"""

import argparse
import contextlib
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import psutil
import psycopg
from psycopg import sql

from benchmarks.sites import running_site
from benchmarks.told import Told
from tests.servers import Servers, running_servers
from tests.sites import Program, Site, wait_until

GOAL_RATIO: Final = 3.0
GOAL_LATER_MS: Final = 5.0
LINKS: Final = 4
ANSWER_S: Final = 5.0


@dataclass
class Way:
    """One way of running the site, with what was measured of it."""

    title: str
    parts: dict[str, int]  # the part's name, and its process
    readers: Told
    used_s: dict[str, float] = field(default_factory=dict)
    tokens: int = 0
    first_s: list[float] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)

    @property
    def web_us(self) -> float:
        """Processor time of all web processes by token."""
        used_s = sum(spent for part, spent in self.used_s.items() if part.startswith("web"))
        return used_s / max(1, self.tokens) * 1e6

    def going_on_from(self, before: "Way | None") -> "Way":
        """Keep what an earlier round measured, and return this one."""
        if before:
            self.used_s, self.tokens = before.used_s, before.tokens
            self.first_s, self.errors = before.first_s, before.errors
        return self

    def measure(self, seconds: float) -> None:
        """Add so many seconds' figures."""
        begun = {part: processor_s(pid) for part, pid in self.parts.items()}
        self.readers.ask("reset")
        time.sleep(seconds)
        tally = self.readers.ask("reset")
        for part, pid in self.parts.items():
            spent = processor_s(pid) - begun[part]
            self.used_s[part] = self.used_s.get(part, 0.0) + spent
        self.tokens += tally["tokens"]
        self.first_s += tally["first_s"]
        for fault, count in tally["errors"].items():
            self.errors[fault] = self.errors.get(fault, 0) + count


def processor_s(pid: int) -> float:
    """Return what a process has used."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def pid_of(program: Program | None) -> int:
    """Return the process of a program that runs."""
    assert program is not None
    return program.process.pid


@contextlib.contextmanager
def running_way(title: str, options: argparse.Namespace, **env: str) -> Iterator[Way]:
    """Run a site with fakes around it. With a Redis it has a second web process, and a router."""
    with running_site(None, **env) as site, contextlib.ExitStack() as stack:
        linked = site.add_web() if "REDIS_URL" in env else site
        parts = {"web": pid_of(site.program)}
        if linked is not site:
            parts = {
                "web, readers": parts["web"],
                "web, links": pid_of(linked.program),
                "router": pid_of(site.routers[0]),
            }
        url = f"ws://127.0.0.1:{linked.port}/ws/instances/"
        slots = -(-options.streams // LINKS) + 2
        arguments = ("--url", url, "--name", "fake", "--links", str(LINKS))
        more = ("--slots", str(slots), "--rate", str(options.rate))
        instances = Told("fake_instances", *arguments, *more, secret=site.issue_credential())
        stack.callback(instances.close)
        wait_until(lambda: instances.ask()["linked"] == LINKS, "instances linked")
        readers = started_readers(site, options)
        stack.callback(readers.close)
        way = Way(title, parts, readers)
        wait_until(lambda: readers.ask()["running"] == options.streams, "all readers read")
        yield way


def started_readers(site: Site, options: argparse.Namespace) -> Told:
    """Start the readers, whose answers begin spread over one answer's time."""
    tokens = str(int(options.rate * ANSWER_S))
    arguments = ("--port", str(site.port), "--streams", str(options.streams), "--tokens", tokens)
    return Told("stream_readers", *arguments, "--over-s", str(ANSWER_S), secret=site.api_key())


def rows(one: Way, two: Way) -> Iterator[str]:
    """Yield the table's lines."""
    yield f"{'CPU µs a token':<28}{one.title:>14}{two.title:>14}{'ratio':>8}"
    for part, spent in (*one.used_s.items(), *two.used_s.items()):
        way = one if part in one.used_s else two
        place = 14 if way is one else 28
        yield f"  {part:<26}{spent / max(1, way.tokens) * 1e6:>{place}.1f}"
    ratio = two.web_us / one.web_us
    yield f"{'all web processes':<28}{one.web_us:>14.1f}{two.web_us:>14.1f}{ratio:>8.2f}"
    ours, theirs = (statistics.median(way.first_s) * 1e3 for way in (one, two))
    yield f"{'first token, median, ms':<28}{ours:>14.1f}{theirs:>14.1f}{theirs - ours:>+8.1f}"
    yield f"{'answers':<28}{len(one.first_s):>14}{len(two.first_s):>14}"
    yield f"errors: {one.errors or 'none'}, {two.errors or 'none'}"


def measured(options: argparse.Namespace) -> tuple[Way, Way]:
    """Measure both in turns, each alone; return what all rounds gave."""
    ways: dict[str, Way] = {}
    with running_servers() as servers:
        for number in range(options.rounds):
            for title in ("one process", "apart"):
                with running_way(title, options, **environment(servers, title, number)) as way:
                    ways[title] = way.going_on_from(ways.get(title))
                    way.measure(options.seconds)
    return ways["one process"], ways["apart"]


def environment(servers: Servers, title: str, number: int) -> dict[str, str]:
    """Return where a site's database is, a new one, and its Redis if it has one."""
    name = f"{title.replace(' ', '_')}_{number}"
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    env = {"DATABASE_URL": f"{servers.database_url.rsplit('/', 1)[0]}/{name}"}
    if title == "apart":
        env["REDIS_URL"] = f"{servers.redis_url.rsplit('/', 1)[0]}/{number + 1}"
    return env


def main() -> int:
    """Measure and print; 0 when the goals are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    one, two = measured(options)
    print(f"{options.streams} streams x {options.rate:g} tokens/s")
    print("\n".join(rows(one, two)))
    later_ms = (statistics.median(two.first_s) - statistics.median(one.first_s)) * 1e3
    is_met = two.web_us <= GOAL_RATIO * one.web_us and later_ms <= GOAL_LATER_MS
    print(f"goals: ratio at most {GOAL_RATIO:g}, at most {GOAL_LATER_MS:g} ms later:", end=" ")
    print("met" if is_met else "missed")
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
