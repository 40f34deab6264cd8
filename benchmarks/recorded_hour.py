"""Records a live site for an hour and makes every decision of it again.

Real containers, readers of both classes, follow-up questions, readers who hang up or stop reading,
and machines that are killed, frozen, drained and started again. Then `replay` must reproduce the
recorded events to the last digit, and `verify_log` must accept the public log and name the entry
of which one byte was changed.
"""

import argparse
import asyncio
import contextlib
import random
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from apps.router.core.values import ServiceClass
from apps.router.simulator.traffic import Request, at_rate, peopled, poisson, trace_read
from benchmarks.sites import running_site
from tests.acceptance.raw import Answer, Reader
from tests.sites import Instance, Site

USERS: Final = 12
DEMO_SHARE: Final = 0.12
DEMO_WITHOUT_LIMIT: Final = {
    "DEMO_LIMIT": "100000/day",
    "DEMO_ADDRESS_LIMIT": "100000/hour",
    "DEMO_ADDRESS_RUNNING": "1000",
    "DEMO_CEILING": "100000/minute",
    "DEMO_QUESTION_CHARS": "8000",
    "DEMO_ANSWER_TOKENS": "8000",
}
FOLLOW_UPS: Final = 0.35
TINY_SHARE: Final = 0.08
HANGS_UP_SHARE: Final = 0.05
STOPS_READING_SHARE: Final = 0.02
CONTEXT_TOKENS: Final = 2400
RUN_LENGTH: Final = 4
PATIENCE_S: Final = 300.0
TROUBLE_EVERY_S: Final = 100.0
LEAST_TROUBLES: Final = 5
WRONG: Final = "answered with another text"
CHANGES: Final = 3
TINY: Final = "motherfluxer-tiny"
TINY_QUESTIONS: Final = ("What is MotherFluxer?", "Who may run an instance?", "Is it free?")


@dataclass(frozen=True, slots=True)
class Machine:
    """One container; `word_ms`: the echo engine's pace, None for the bundled model."""

    name: str
    slots: int
    word_ms: int | None


FLEET: Final = (
    Machine("quick", 3, 30),
    Machine("middle", 3, 45),
    Machine("slow", 2, 90),
    Machine("fickle", 2, 45),
    Machine("tiny", 2, None),
)


class Fleet:
    """The containers of a site, by name; each may be troubled and comes back."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._credentials = {one.name: site.issue_credential(one.name) for one in FLEET}
        self.running: dict[str, Instance] = {}

    def start(self, machine: Machine) -> None:
        """Start a container; does not wait for it."""
        pace = () if machine.word_ms is None else (f"--echo-delay-ms={machine.word_ms}",)
        self.running[machine.name] = self._site.start_instance(
            "transformers" if machine.word_ms is None else "echo",
            name=machine.name,
            slots=machine.slots,
            credential=self._credentials[machine.name],
            options=("--threads=1", *pace),
        )

    async def trouble(self, draw: random.Random, told: Counter[str]) -> None:
        """Kill, freeze or drain one of them, and have it back a while later."""
        machine = draw.choice(FLEET)
        instance = self.running[machine.name]
        kind = draw.choice(("kill -9", "kill -9", "SIGSTOP, long", "SIGSTOP, short", "SIGTERM"))
        told[f"trouble: {kind}"] += 1
        if kind.startswith("SIGSTOP"):
            instance.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(12 if kind.endswith("long") else 1.5)
            instance.process.send_signal(signal.SIGCONT)
            return
        await asyncio.to_thread(instance.kill9 if kind == "kill -9" else instance.stop)
        await asyncio.sleep(draw.uniform(3, 20))
        self.start(machine)


class Visitor:
    """Somebody without an account on the public page."""

    def __init__(self, site: Site) -> None:
        host = {"Host": f"{site.host()}:{site.port}", "Accept": "application/json"}
        self._client = httpx.AsyncClient(
            base_url=site.url, headers=host, timeout=PATIENCE_S, trust_env=False
        )

    async def ask(self, question: str) -> int:
        """Ask and return the status; the answer goes on without a reader."""
        async with self._client as client:
            page = (await client.get("/", headers={"Accept": "text/html"})).text
            found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
            form = {"text": question, "csrfmiddlewaretoken": found[1] if found else ""}
            return (await client.post("/chat/ask", data=form)).status_code


@dataclass(slots=True)
class Crowd:
    """All who ask. `told` counts what became of their questions."""

    site: Site
    readers: dict[str, Reader]
    draw: random.Random
    told: Counter[str] = field(default_factory=Counter)
    conversations: dict[str, list[dict[str, str]]] = field(default_factory=dict)

    async def ask(self, request: Request) -> None:
        """Ask what a request of the trace stands for, and read the answer."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                if request.service_class is ServiceClass.DEMO:
                    status = await Visitor(self.site).ask(_words(request.answer_tokens, self.draw))
                    self.told[f"visitor: {status}"] += 1
                else:
                    await self._ask_registered(request)
        except (httpx.HTTPError, TimeoutError) as error:
            self.told[f"{type(error).__name__}"] += 1

    async def _ask_registered(self, request: Request) -> None:
        is_tiny = self.draw.random() < TINY_SHARE
        question = (
            self.draw.choice(TINY_QUESTIONS)
            if is_tiny
            else _words(request.answer_tokens, self.draw)
        )
        said = [] if is_tiny else self.conversations.setdefault(request.conversation, [])
        if not said and not is_tiny:
            length = max(1, request.prompt_tokens - request.answer_tokens)
            said.append({"role": "system", "content": _words(length, self.draw)})
        said.append({"role": "user", "content": question})
        answer = self.readers[request.user].ask(
            question, model=TINY if is_tiny else "echo", messages=list(said)
        )
        has_left = await self._read(answer)
        said.append({"role": "assistant", "content": answer.text})
        if has_left:
            self.told["hung up"] += 1
        elif answer.error:
            self.told[f"refused or broken off: {answer.error['code']}"] += 1
        elif is_tiny or answer.text == question:
            self.told["answered"] += 1
        else:
            self.told[WRONG] += 1

    async def _read(self, answer: Answer) -> bool:
        """Read an answer the way some do; True for who hung up."""
        kind = self.draw.random()
        if kind < HANGS_UP_SHARE:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.draw.uniform(0.2, 8)):
                    await asyncio.shield(answer.task)
            return answer.task.cancel()
        if kind < HANGS_UP_SHARE + STOPS_READING_SHARE:
            answer.may_read.clear()
            await asyncio.sleep(20)
            answer.may_read.set()
        await answer.task
        return False


def traffic(trace: Path | None, minutes: float, rate: float) -> list[Request]:
    """Return the requests of so many minutes.

    Of a trace short runs of neighbours are kept, so that its bursts stay when it is thinned.
    """
    count = max(1, int(minutes * 60 * rate))
    if trace is None:
        requests = poisson(count=count, prompt_tokens=800, answer_tokens=150, seed=1)
        requests = at_rate(requests, rate)
    else:
        whole = [one for one in trace_read(trace) if one.at <= minutes * 60]
        share = max(1, round(len(whole) / count))
        requests = [one for n, one in enumerate(whole) if n // RUN_LENGTH % share == 0]
    return peopled(
        requests,
        users=USERS,
        demo_share=DEMO_SHARE,
        follow_ups=FOLLOW_UPS,
        context_tokens=CONTEXT_TOKENS,
        seed=1,
    )


async def drive(site: Site, fleet: Fleet, requests: list[Request], minutes: float) -> Counter[str]:
    """Ask and trouble for so long; return what was seen, counted."""
    draw, began = random.Random(2), time.monotonic()  # noqa: S311 # who does what
    keys = [site.api_key(f"reader-{n}@example.org") for n in range(USERS)]
    crowd = Crowd(site, {f"user:{n}": Reader(site, key) for n, key in enumerate(keys)}, draw)
    troubles, trouble_every_s = 0, min(TROUBLE_EVERY_S, minutes * 60 / LEAST_TROUBLES)
    async with asyncio.TaskGroup() as tasks:
        for request in requests:
            if (pause_s := request.at - (time.monotonic() - began)) > 0:
                await asyncio.sleep(pause_s)
            tasks.create_task(crowd.ask(request))
            if time.monotonic() - began > trouble_every_s * (1 + troubles):
                troubles += 1
                tasks.create_task(fleet.trouble(draw, crowd.told))
        await asyncio.sleep(minutes * 60 - (time.monotonic() - began))
    for reader in crowd.readers.values():
        await reader.client.aclose()
    return crowd.told


def changed(log: bytes, draw: random.Random) -> tuple[bytes, int]:
    """Change one bit of a log; return it and the number of the line."""
    place = draw.randrange(len(log))
    place -= log[place] == ord("\n")
    other = bytearray(log)
    other[place] ^= 1
    return bytes(other), log.count(b"\n", 0, place) + 1


def log_faults(site: Site) -> Iterator[str]:
    """Verify the public log, and copies of which one bit is another; yield what should not be."""
    log = site.folder / "log.jsonl"
    log.write_bytes(whole := site.get("/transparency/log.jsonl").body)
    print(site.manage("verify_log", str(log)).splitlines()[0])
    for _ in range(CHANGES):
        other, number = changed(whole, random.Random())  # noqa: S311 # any bit will do
        log.write_bytes(other)
        try:
            yield f"entry {number} was changed, and yet: {site.manage('verify_log', str(log))}"
        except AssertionError as error:
            said = str(error).splitlines()[-1]
            print(f"One bit of entry {number} changed: {said}")
            if not re.search(rf"Entry {number}\b", said):
                yield f"entry {number} was changed and is not named: {said}"
    log.write_bytes(whole)


def record(site: Site, options: argparse.Namespace) -> list[str]:
    """Run it all and print what is seen; return what should not be."""
    requests = traffic(options.trace, options.minutes, options.rate)
    fleet = Fleet(site)
    for machine in FLEET:
        fleet.start(machine)
    for instance in fleet.running.values():
        instance.wait_connected()
    seen = asyncio.run(drive(site, fleet, requests, options.minutes))
    print(f"{len(requests)} questions in {options.minutes:g} minutes")
    for what, count in sorted(seen.items()):
        print(f"{count:>8} {what}")
    faults = list(log_faults(site))
    site.stop()
    files = sorted(str(path) for path in (site.folder / "events").glob("*.jsonl"))
    print(site.manage("replay", *files), end="", flush=True)
    return [*faults, *([f"{seen[WRONG]} {WRONG}"] if seen[WRONG] else [])]


def _words(count: int, draw: random.Random) -> str:
    return " ".join(f"word{draw.randrange(1000)}" for _ in range(count))


def main() -> int:
    """Record, replay, verify; 0 when all came out the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trace", type=Path, help="a CSV of arrivals (default: Poisson)")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--rate", type=float, default=0.7, help="questions a second")
    parser.add_argument("--keep", type=Path, help="keep the site's folder there")
    options = parser.parse_args()
    with running_site(options.keep, **DEMO_WITHOUT_LIMIT) as site:
        faults = record(site, options)
    print("\n".join(f"FAULT: {fault}" for fault in faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
