"""What the demo's limit costs a question: a ticket taken, what is left looked up, the ticket ended.

In memory, and in a Redis of its own; each with a visitor who has nine answers behind him and an
address with twenty, one after the other, so that nothing waits for anything but the ledger.
"""

import asyncio
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import django

ResultT = TypeVar("ResultT")

ROUNDS: Final = 2_000
BEHIND_VISITOR: Final = 9
BEHIND_ADDRESS: Final = 20


@dataclass
class Costs:
    """Seconds of each round, by the clock and by this process's processor."""

    clock_s: list[float] = field(default_factory=list)
    processor_s: list[float] = field(default_factory=list)

    async def of(self, work: Awaitable[ResultT]) -> ResultT:
        """Do the work, note what it took and return its result."""
        clock, processor = time.perf_counter(), time.process_time()
        result = await work
        self.clock_s.append(time.perf_counter() - clock)
        self.processor_s.append(time.process_time() - processor)
        return result

    def row(self, name: str) -> str:
        """Return a line of the table."""
        p99 = statistics.quantiles(self.clock_s, n=100)[98]
        return (
            f"{name:<28}{statistics.median(self.clock_s) * 1e6:>10.0f}{p99 * 1e6:>10.0f}"
            f"{statistics.median(self.processor_s) * 1e6:>12.0f}"
        )


async def run(place: str) -> list[str]:
    """Measure with the ledger that the settings name; return the table's lines."""
    from apps.demo.gate import CookieVisitorGate

    gate = CookieVisitorGate()
    serial = itertools.count()
    took, looked, ended = Costs(), Costs(), Costs()

    async def answered(visitor: str, address: str) -> None:
        await gate.end(await gate.take(visitor, address), is_used=True)

    for _ in range(ROUNDS // 10):
        number = next(serial)
        visitor, address = f"visitor-{number}", f"10.{number >> 8}.{number & 255}.1"
        for other in range(BEHIND_ADDRESS):
            await answered(visitor if other < BEHIND_VISITOR else f"{visitor}-{other}", address)
        for _ in range(10):
            ticket = await took.of(gate.take(visitor, address))
            await looked.of(gate.allowance(visitor, address))
            await ended.of(gate.end(ticket, is_used=False))
    return [
        took.row(f"{place}: take"),
        looked.row(f"{place}: look up"),
        ended.row(f"{place}: end"),
    ]


def main() -> None:
    """Print the table."""
    django.setup()
    from django.conf import settings

    from tests.servers import running_valkey

    settings.DEMO_CEILING = "1000000/minute"
    settings.REDIS_URL = None
    lines = asyncio.run(run("memory"))
    with tempfile.TemporaryDirectory() as folder, running_valkey(Path(folder)) as url:
        settings.REDIS_URL = url
        lines += asyncio.run(run("Redis"))
    print(f"{'µs, of ' + str(ROUNDS):<28}{'median':>10}{'p99':>10}{'processor':>12}")
    print("\n".join(lines))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "motherfluxer.settings.dev")
    main()
