"""What one decision costs, by the number of candidates: the whole step from a job to its record."""

from statistics import median, quantiles
from time import perf_counter

from apps.router.core import events
from apps.router.core.selection.rules import RULES
from apps.router.core.settings import CoreSettings
from apps.router.core.state import RouterState
from apps.router.core.step import step
from apps.router.core.values import ServedModel, ServiceClass

_JOBS = 400
_MODEL = ServedModel("model", 8192, 4096, can_continue=True)


def measured_state(count: int, rule: str) -> RouterState:
    """Make a router with `count` idle instances of 4 slots, each measured once."""
    state = RouterState(settings=CoreSettings(rule=rule))
    for n in range(count):
        name = f"i{n}"
        step(state, events.InstanceJoined(name, name, name, (_MODEL,), 4), 0.0)
    for n in range(count):
        job = f"w{n}"
        step(state, events.JobSubmitted(job, job, ServiceClass.REGISTERED, "model"), 0.0)
        session = state.jobs[job].session or ""
        step(state, events.JobProgressed(job, 1, 1), 0.1 + n / 1000)
        step(state, events.AttemptDone(session, job, 1, "stop", 100, 20), 1.0 + n / 1000)
    return state


def decision_times_s(state: RouterState) -> list[float]:
    """Time jobs that are handed in one after another and each end before the next."""
    times = []
    for n in range(_JOBS):
        job, now = f"j{n}", 10.0 + n / 100
        submitted = events.JobSubmitted(
            job, "user", ServiceClass.REGISTERED, "model", prompt_tokens=1000
        )
        began = perf_counter()
        step(state, submitted, now)
        times.append(perf_counter() - began)
        session = state.jobs[job].session or ""
        step(state, events.AttemptDone(session, job, 1, "stop", 1000, 20), now + 0.001)
    return times


def main() -> None:
    """Print a table: microseconds by decision."""
    counts = (1, 20, 100, 1000, 2000)
    print("Microseconds by decision, median / p99, whole step with its record.")
    print("Goals for soonest: 100 at 20 candidates, 1000 at 1000.\n")
    print(f"{'rule':16}" + "".join(f"{count:>18}" for count in counts))
    for rule in RULES:
        cells = []
        for count in counts:
            times = decision_times_s(measured_state(count, rule))
            p99 = quantiles(times, n=100)[98]
            cells.append(f"{median(times) * 1e6:8.0f} /{p99 * 1e6:8.0f}")
        print(f"{rule:16}" + "".join(cells))


if __name__ == "__main__":
    main()
