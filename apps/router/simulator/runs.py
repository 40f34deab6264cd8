"""Puts a scenario together and runs it; comparisons run side by side in several processes."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import msgspec

from apps.router.core.settings import CoreSettings
from apps.router.simulator.faults import AWAY_S, FAULTS, STAY_S, faults_named
from apps.router.simulator.machines import CONTEXT_TOKENS, Machine, capacity, fleet_of
from apps.router.simulator.measures import Measures, Objective, measure
from apps.router.simulator.outcome import Outcome
from apps.router.simulator.traffic import Request, at_rate, means, peopled, poisson, trace_read
from apps.router.simulator.world import World

CONDITIONS: Final[dict[str, tuple[str, ...]]] = {
    "steady": (),
    "churn": ("churn",),
    "faults": tuple(name for name in FAULTS if name != "churn"),
}
"""Nothing happens; instances come and go; everything else of `faults.py` happens."""


class ScenarioError(Exception):
    """A scenario can't be put together; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One simulation, whole: the same scenario always gives the same figures.

    fleet: "mixed:20", "same:3", or a JSON file with a list of machines. trace: a CSV file, else
    Poisson arrivals. load: the share of the fleet's capacity that is asked for, or rate: requests
    a second. seed s takes the s-th stretch of the trace, and draws fleet, users and faults.
    """

    rule: str = "soonest"
    fleet: str = "mixed:20"
    trace: str | None = None
    jobs: int = 1500
    load: float = 0.8
    rate: float | None = None
    faults: tuple[str, ...] = ()
    seed: int = 1
    users: int = 50
    demo_share: float = 0.2
    follow_ups: float = 0.5
    prompt_tokens: int = 1000
    answer_tokens: int = 200
    settings: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what can't be run. Raises ScenarioError."""
        for name in ("jobs", "users"):
            if getattr(self, name) < 1:
                raise ScenarioError(f"{name}: at least 1")
        asked = "load" if self.rate is None else "rate"
        if not getattr(self, asked) > 0:
            raise ScenarioError(f"{asked}: more than 0")
        for name in ("demo_share", "follow_ups"):
            if not 0 <= getattr(self, name) <= 1:
                raise ScenarioError(f"{name}: from 0 to 1")


def run(scenario: Scenario) -> Outcome:
    """Run a scenario. Raises ScenarioError, TraceError."""
    machines = _machines(scenario)
    requests = peopled(
        _requests(scenario),
        users=scenario.users,
        demo_share=scenario.demo_share,
        follow_ups=scenario.follow_ups,
        context_tokens=CONTEXT_TOKENS,
        seed=scenario.seed,
    )
    rate = scenario.rate or scenario.load * _capacity(scenario, machines, requests)
    requests = at_rate(requests, rate)
    faults = faults_named(
        scenario.faults, machines=len(machines), lasts_s=requests[-1].at, seed=scenario.seed
    )
    settings = CoreSettings(rule=scenario.rule, seed=scenario.seed)
    return World(machines, requests, faults, settings_with(settings, scenario.settings)).run()


def settings_with(settings: CoreSettings, changed: dict[str, float]) -> CoreSettings:
    """Return settings with some numbers changed. Raises ScenarioError for an unknown name."""
    for name, value in changed.items():
        known = getattr(settings, name, None)
        if not isinstance(known, int | float):
            raise ScenarioError(f"no setting {name!r} that is a number")
        settings = replace(settings, **{name: type(known)(value)})  # type: ignore[arg-type]
    return settings


def compare(
    scenarios: Sequence[Scenario],
    *,
    seeds: int,
    objective: Objective,
    processes: int,
    progress: Callable[[int, int], None],
) -> list[Measures]:
    """Measure each scenario over `seeds` seeds, all their requests together.

    Raises ScenarioError, TraceError.
    """
    for name, count in (("seeds", seeds), ("processes", processes)):
        if count < 1:
            raise ScenarioError(f"{name}: at least 1")
    seeded = [
        (number, replace(scenario, seed=scenario.seed + n))
        for number, scenario in enumerate(scenarios)
        for n in range(seeds)
    ]
    found: list[dict[int, Outcome]] = [{} for _ in scenarios]
    with ProcessPoolExecutor(max_workers=processes) as pool:
        pending = {pool.submit(run, one): (number, one.seed) for number, one in seeded}
        for done, future in enumerate(as_completed(pending), start=1):
            number, seed = pending[future]
            found[number][seed] = future.result()
            progress(done, len(seeded))
    return [measure([outcomes[seed] for seed in sorted(outcomes)], objective) for outcomes in found]


def _requests(scenario: Scenario) -> list[Request]:
    if scenario.trace is None:
        return poisson(
            count=scenario.jobs,
            prompt_tokens=scenario.prompt_tokens,
            answer_tokens=scenario.answer_tokens,
            seed=scenario.seed,
        )
    whole = trace_read(Path(scenario.trace))
    count = min(scenario.jobs, len(whole))
    begin = (scenario.seed * 2 * count) % max(1, len(whole) - count)
    part = whole[begin : begin + count]
    return [replace(request, at=request.at - part[0].at) for request in part]


def _machines(scenario: Scenario) -> list[Machine]:
    path = Path(scenario.fleet)
    if path.suffix == ".json":
        try:
            machines = msgspec.json.decode(path.read_bytes(), type=list[Machine])
        except (OSError, msgspec.DecodeError) as error:
            raise ScenarioError(f"fleet {path.name}: {error}") from error
        if not machines:
            raise ScenarioError(f"fleet {path.name}: no machine in it")
        return machines
    kind, _, count = scenario.fleet.partition(":")
    if kind not in ("mixed", "same") or not count.isdecimal() or int(count) < 1:
        raise ScenarioError(f"fleet {scenario.fleet!r}: mixed:COUNT, same:COUNT or a .json file")
    return fleet_of(int(count), kind=kind, seed=scenario.seed)


def _capacity(
    scenario: Scenario, machines: Sequence[Machine], requests: Sequence[Request]
) -> float:
    """Return what the fleet serves a second; under churn what is there of it on the average."""
    present = STAY_S / (STAY_S + AWAY_S) if "churn" in scenario.faults else 1.0
    return present * capacity(machines, *means(requests))
