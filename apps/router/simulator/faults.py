"""What goes wrong in a simulated fleet, and when. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final


@dataclass(frozen=True, slots=True)
class Fault:
    """At `at` seconds something happens to one machine (by its number); "restart" to the router.

    `value`: the speed's factor, or the lateness of heartbeats in seconds.
    """

    at: float
    kind: str
    machine: int = -1
    value: float = 0.0


def _slow(draws: Random, machines: int, lasts_s: float) -> list[Fault]:
    """One instance is five times slower from a third of the time on."""
    return [Fault(lasts_s / 3, "speed", draws.randrange(machines), 0.2)]


def _games(draws: Random, machines: int, lasts_s: float) -> list[Fault]:
    """Operators play: an instance has half its speed for 10 to 60 s, again and again."""
    faults = []
    at = 0.0
    while (at := at + draws.expovariate(1 / 60)) < lasts_s:
        machine = draws.randrange(machines)
        faults.append(Fault(at, "speed", machine, 0.5))
        faults.append(Fault(at + draws.uniform(10, 60), "speed", machine, 1.0))
    return faults


def _fails_fast(draws: Random, machines: int, lasts_s: float) -> list[Fault]:
    """One instance fails every job in 5 ms for the middle half of the time."""
    machine = draws.randrange(machines)
    return [Fault(lasts_s / 4, "failing", machine), Fault(lasts_s * 3 / 4, "mended", machine)]


def _black_hole(draws: Random, machines: int, lasts_s: float) -> list[Fault]:
    """One instance takes jobs, heartbeats and sends nothing, for a quarter of the time."""
    machine = draws.randrange(machines)
    return [Fault(lasts_s / 2, "speed", machine, 0.0), Fault(lasts_s * 3 / 4, "speed", machine, 1)]


def _leaving(draws: Random, machines: int, lasts_s: float) -> list[Fault]:
    """Links break in the middle of answers; the instance is back half a minute later."""
    faults = []
    at = 0.0
    while (at := at + draws.expovariate(1 / 120)) < lasts_s:
        machine = draws.randrange(machines)
        faults += [Fault(at, "leave", machine), Fault(at + 30, "join", machine)]
    return faults


def _late_heartbeats(draws: Random, machines: int, lasts_s: float) -> list[Fault]:
    """An instance's frames other than tokens come 0.1 to 10 s late, at times."""
    faults = []
    at = 0.0
    while (at := at + draws.expovariate(1 / 60)) < lasts_s:
        faults.append(Fault(at, "late", draws.randrange(machines), draws.uniform(0.1, 10)))
    return faults


def _cold(draws: Random, machines: int, lasts_s: float) -> list[Fault]:
    """An instance has to load its weights before its next answer: 15 s of work."""
    return [
        Fault(lasts_s * part / 5, "cold", draws.randrange(machines), 15.0) for part in range(1, 5)
    ]


def _churn(draws: Random, machines: int, lasts_s: float) -> list[Fault]:
    """Each instance stays 20 minutes on the average and is back after 2, another one in truth."""
    faults = []
    for machine in range(machines):
        at = draws.expovariate(1 / STAY_S)
        while at < lasts_s:
            back = at + draws.expovariate(1 / AWAY_S)
            faults += [Fault(at, "leave", machine), Fault(back, "join-new", machine)]
            at = back + draws.expovariate(1 / STAY_S)
    return faults


def _restart(draws: Random, machines: int, lasts_s: float) -> list[Fault]:
    """The router restarts once from its snapshot, and is away for 3 s."""
    return [Fault(lasts_s * 0.6, "restart", value=3.0)]


STAY_S: Final = 1200.0
AWAY_S: Final = 120.0

FAULTS: Final[dict[str, Callable[[Random, int, float], list[Fault]]]] = {
    "slow": _slow,
    "games": _games,
    "fails-fast": _fails_fast,
    "black-hole": _black_hole,
    "leaving": _leaving,
    "late-heartbeats": _late_heartbeats,
    "cold": _cold,
    "churn": _churn,
    "restart": _restart,
}


def faults_named(names: Sequence[str], *, machines: int, lasts_s: float, seed: int) -> list[Fault]:
    """Make the faults of some kinds in the order of time. Raises KeyError for an unknown kind."""
    faults = [
        fault
        for name in names
        for fault in FAULTS[name](Random(f"{seed} {name}"), machines, lasts_s)
    ]
    return sorted(faults, key=lambda fault: fault.at)
