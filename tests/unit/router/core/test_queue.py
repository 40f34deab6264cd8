"""The queue's order is the one that its docstring defines, worked out here in the plainest way."""

from random import Random

import pytest

from apps.router.core.queue import ClassQueue, Waiting, WaitingQueue
from apps.router.core.settings import CoreSettings
from apps.router.core.values import ServiceClass

CLASSES = list(ServiceClass)
CAP = 3
SETTINGS = CoreSettings(
    ageing_s=15.0, trickle_every=4, max_running_per_user=dict.fromkeys(CLASSES, CAP)
)


def class_order(queue: ClassQueue, now: float) -> list[Waiting]:
    """Return one class's jobs: aged users' next ones, then always the least served user's next."""
    left = {user: list(jobs.values()) for user, jobs in queue.waiting.items()}
    counters, running = dict(queue.counters), dict(queue.running)
    order: list[Waiting] = []

    def take(user: str) -> None:
        entry = left[user].pop(0)
        counters[user] += entry.cost
        running[user] = running.get(user, 0) + 1
        order.append(entry)

    def began(user: str) -> tuple[float, int]:
        return max(queue.turns[user], left[user][0].since), left[user][0].order

    for user in sorted(left, key=began):
        if now - began(user)[0] > SETTINGS.ageing_s and running.get(user, 0) < CAP:
            take(user)
    while True:
        able = [user for user in left if left[user] and running.get(user, 0) < CAP]
        if not able:
            return order
        take(min(able, key=lambda u: (counters[u], running.get(u, 0), left[u][0].order)))


def order_by_definition(queue: WaitingQueue, now: float) -> list[str]:
    """Return all jobs: interrupted ones, then the classes with their trickle."""
    order = list(queue.interrupted)
    lines = [
        (class_order(one, now), one.passed_over) for one in queue.classes.values() if one.by_age
    ]
    left = [entries for entries, _ in lines]
    passed = [count for _, count in lines]
    while left:
        due = [n for n in range(1, len(left)) if passed[n] >= SETTINGS.trickle_every - 1]
        n = due[-1] if due else 0
        if not left[n]:
            del left[n], passed[n]
            continue
        order.append(left[n].pop(0).job_id)
        passed[n] = 0
        passed[n + 1 :] = [count + 1 for count in passed[n + 1 :]]
    return order


class Till:
    """A queue to which random things happen."""

    def __init__(self, seed: int) -> None:
        self.draws = Random(seed)  # noqa: S311 # draws that come again
        self.queue = WaitingQueue()
        self.running: list[Waiting] = []
        self.now, self.made = 0.0, 0

    def happen(self) -> None:
        """Let a job come, begin, end, be interrupted or be cancelled."""
        self.now += self.draws.random() * 2
        kind = self.draws.random()
        if kind < 0.5 or not len(self.queue):
            self.come()
        elif kind < 0.75:
            self.begin()
        elif self.running:
            self.end()
        else:
            self.queue.remove(self.draws.choice(list(self.queue.entries)))

    def come(self) -> None:
        """Add a job."""
        self.made += 1
        user, cost = f"u{self.draws.randrange(5)}", float(self.draws.randrange(1, 500))
        service_class = self.draws.choice(CLASSES)
        self.queue.append(f"j{self.made}", service_class, user=user, cost=cost, now=self.now)

    def begin(self) -> None:
        """Begin the first job, or, as where only another one can be served, any."""
        order = [entry.job_id for entry in self.queue.in_order(self.now, SETTINGS)]
        if order:
            job_id = order[0] if self.draws.random() < 0.8 else self.draws.choice(order)
            was_interrupted = job_id in self.queue.interrupted
            entry = self.queue.remove(job_id)
            self.queue.started(entry, was_interrupted=was_interrupted, now=self.now)
            self.running.append(entry)

    def end(self) -> None:
        """End a running job, or let it wait again."""
        entry = self.running.pop(self.draws.randrange(len(self.running)))
        own = self.queue.classes[entry.service_class]
        self.queue.stopped(entry.service_class, entry.requester)
        if self.draws.random() < 0.2:
            self.queue.put_first(entry.job_id, entry.service_class, user=entry.requester)
        else:
            owed = float(self.draws.randrange(600))
            own.settle(entry.requester, owed=owed, advance=entry.cost)


@pytest.mark.parametrize("seed", range(30))
def test_order_is_the_defined_one_whatever_has_happened(seed: int) -> None:
    till = Till(seed)
    for _ in range(120):
        till.happen()
        found = [entry.job_id for entry in till.queue.in_order(till.now, SETTINGS)]
        assert found == order_by_definition(till.queue, till.now)
        assert len(found) == len(set(found))
        assert set(found) <= set(till.queue.entries)


def test_looking_at_the_order_changes_nothing() -> None:
    till = Till(1)
    for _ in range(60):
        till.happen()
    looks = [[e.job_id for e in till.queue.in_order(till.now, SETTINGS)] for _ in range(3)]
    assert looks[0] == looks[1] == looks[2]


def test_looking_at_the_first_only_is_enough_for_the_first() -> None:
    till = Till(2)
    for _ in range(60):
        till.happen()
        first = next(iter(till.queue.in_order(till.now, SETTINGS)), None)
        whole = list(till.queue.in_order(till.now, SETTINGS))
        assert first == (whole[0] if whole else None)
