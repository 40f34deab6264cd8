"""The waiting jobs in the order in which they will be served. Pure.

1. Interrupted jobs, oldest first: somebody is reading them.
2. Classes in the order of `ServiceClass`; but while a lower class waits, at least one in
   `trickle_every` assignments is its.
3. Within a class, users who have waited longer than `ageing_s` since they came or since their
   last job began: one job each, the longest wait first.
4. Then fairly between users: the one who was served the fewest weighted tokens first (virtual
   token counters, arXiv 2401.00588); with equal counters the one with fewer running jobs.
5. Within one user, first come first served.

From 2 and 3 follows the bound: who has waited `ageing_s` for a turn is behind one job at most of
each user of the class who has waited longer; and of `trickle_every` assignments one is the class's
at least. A user's n-th job has waited its turn when n - 1 turns have been taken: who asks for a
hundred answers at once ages no faster than who asks for one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import islice

from apps.router.core.settings import CoreSettings
from apps.router.core.values import ServiceClass

_COUNTERS_KEPT = 10_000
_ROUNDING = 1e-6
_STALE_RANKS = 8


@dataclass(slots=True)
class Waiting:
    """A job in the queue. `cost` is what its user will be charged in advance."""

    job_id: str
    requester: str
    service_class: ServiceClass
    cost: float
    order: int
    since: float


Rank = tuple[float, int, int, str]
"""What decides between users: counter, running jobs, order of the next job; and the user."""


@dataclass(slots=True)
class ClassQueue:
    """One class: each user's waiting jobs in order, and what each user was served.

    `counters` holds weighted tokens with what was charged in advance, `advances` that part alone.
    `turns`: when each waiting user came, or when the last of his jobs began. `ranks` is a heap of
    the waiting users' ranks; one that no longer is its user's is passed over.
    """

    waiting: dict[str, dict[str, Waiting]] = field(default_factory=dict)
    by_age: dict[str, Waiting] = field(default_factory=dict)
    counters: dict[str, float] = field(default_factory=dict)
    advances: dict[str, float] = field(default_factory=dict)
    turns: dict[str, float] = field(default_factory=dict)
    running: dict[str, int] = field(default_factory=dict)
    ranks: list[Rank] = field(default_factory=list)
    floor: float = 0.0
    passed_over: int = 0

    def add(self, entry: Waiting) -> None:
        """Put a job behind its user's others; who was idle starts level with the least served."""
        user = entry.requester
        if user not in self.waiting:
            # What was charged in advance may come back: levelled with it, a newcomer would wait
            # until the others had really been served that much.
            level = min((self.served(other) for other in self.waiting), default=self.floor)
            counter = max(self.counters.pop(user, 0.0), level + self.advances.get(user, 0.0))
            self.counters[user] = counter
            self.turns[user] = entry.since
            self.waiting[user] = {}
            self._forget_idle()
        is_first = not self.waiting[user]
        self.waiting[user][entry.job_id] = entry
        self.by_age[entry.job_id] = entry
        if is_first:
            self.rank(user)

    def remove(self, entry: Waiting) -> None:
        """Take a job out."""
        jobs = self.waiting[entry.requester]
        del jobs[entry.job_id], self.by_age[entry.job_id]
        if not jobs:
            del self.waiting[entry.requester], self.turns[entry.requester]
        else:
            self.rank(entry.requester)
        if not self.by_age:
            self.passed_over = 0

    def served(self, user: str) -> float:
        """Return what a user was charged for what is known to have been served."""
        return self.counters.get(user, self.floor) - self.advances.get(user, 0.0)

    def began(self, entry: Waiting, now: float) -> None:
        """Charge a user in advance; the next turn is counted from now."""
        user = entry.requester
        self.floor = max(self.floor, self.served(user))
        self.counters[user] = self.counters.get(user, self.floor) + entry.cost
        self.advances[user] = self.advances.get(user, 0.0) + entry.cost
        self.passed_over = 0
        if user in self.turns:
            self.turns[user] = now
        self.rank(user)

    def settle(self, user: str, *, owed: float, advance: float) -> None:
        """Charge what a job has really cost in place of what was charged in advance."""
        self.counters[user] = self.counters.get(user, self.floor) + owed - advance
        left = self.advances.pop(user, 0.0) - advance
        if left > _ROUNDING:
            self.advances[user] = left
        self.rank(user)

    def rank(self, user: str) -> None:
        """Rank a user anew, if he waits; call after whatever decides has changed."""
        if user not in self.waiting:
            return
        heappush(self.ranks, self._rank(user))
        if len(self.ranks) > _STALE_RANKS + 2 * len(self.waiting):
            self.ranks = sorted(self._rank(user) for user in self.waiting)

    def _rank(self, user: str) -> Rank:
        first = next(iter(self.waiting[user].values()))
        return self.counters[user], self.running.get(user, 0), first.order, user

    def in_order(self, now: float, settings: CoreSettings, cap: int) -> Iterator[Waiting]:
        """Yield the jobs as they would be served if each could be."""
        aged = []
        for entry in self._aged(now - settings.ageing_s):
            if self.running.get(entry.requester, 0) < cap:
                aged.append(entry)
                yield entry
        yield from self._fairly(aged, cap)

    def _aged(self, before: float) -> list[Waiting]:
        """List the next job of each user whose turn began before a moment, longest wait first."""
        oldest = next(iter(self.by_age.values()), None)
        if oldest is None or oldest.since >= before:
            return []
        heads = [next(iter(jobs.values())) for jobs in self.waiting.values()]
        turns = [(max(self.turns[h.requester], h.since), h.order, h) for h in heads]
        return [head for began, _, head in sorted(turns, key=_first_two) if began < before]

    def _fairly(self, aged: list[Waiting], cap: int) -> Iterator[Waiting]:
        """Yield all but the aged ones, each user's rank as it will be after what was yielded."""
        ranks = self.ranks.copy()
        foreseen: dict[str, Rank | None] = {}
        turns: dict[str, Iterator[Waiting]] = {}
        heads: dict[str, Waiting] = {}

        def foresee(entry: Waiting, rank: Rank) -> None:
            """Rank a user as he will stand when one more of his jobs has begun."""
            user = entry.requester
            following = next(turns[user], None)
            counter, busy = rank[0] + entry.cost, rank[1] + 1
            foreseen[user] = None
            if following is not None:
                heads[user] = following
                foreseen[user] = after = (counter, busy, following.order, user)
                heappush(ranks, after)

        for entry in aged:
            user = entry.requester
            turns[user] = islice(self.waiting[user].values(), 1, None)
            foresee(entry, self._rank(user))
        while ranks:
            rank = heappop(ranks)
            user = rank[3]
            if user not in foreseen and user in self.waiting:
                foreseen[user] = self._rank(user)
                turns[user] = iter(self.waiting[user].values())
                heads[user] = next(turns[user])
            if rank != foreseen.get(user) or rank[1] >= cap:
                continue
            entry = heads[user]
            yield entry
            foresee(entry, rank)

    def _forget_idle(self) -> None:
        if len(self.counters) <= _COUNTERS_KEPT:
            return
        idle = [u for u in self.counters if u not in self.waiting and u not in self.running]
        for user in idle[: len(idle) // 2]:
            del self.counters[user]


@dataclass(slots=True)
class WaitingQueue:
    """All waiting jobs."""

    interrupted: dict[str, Waiting] = field(default_factory=dict)
    classes: dict[ServiceClass, ClassQueue] = field(
        default_factory=lambda: {service_class: ClassQueue() for service_class in ServiceClass}
    )
    entries: dict[str, Waiting] = field(default_factory=dict)
    arrivals_count: int = 0

    def __len__(self) -> int:
        return len(self.entries)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self.entries

    def count(self, service_class: ServiceClass) -> int:
        """Return how many of one class wait, those that were interrupted left out."""
        return len(self.classes[service_class].by_age)

    def append(
        self, job_id: str, service_class: ServiceClass, *, user: str, cost: float, now: float
    ) -> None:
        """Add a new job."""
        self.arrivals_count += 1
        entry = Waiting(job_id, user, service_class, cost, self.arrivals_count, now)
        self.entries[job_id] = entry
        self.classes[service_class].add(entry)

    def put_first(self, job_id: str, service_class: ServiceClass, *, user: str) -> None:
        """Bring an interrupted job back, before all that were not."""
        entry = Waiting(job_id, user, service_class, cost=0.0, order=0, since=0.0)
        self.entries[job_id] = entry
        self.interrupted[job_id] = entry

    def remove(self, job_id: str) -> Waiting:
        """Take a job out. Raises KeyError when it is not there."""
        entry = self.entries.pop(job_id)
        if self.interrupted.pop(job_id, None) is None:
            self.classes[entry.service_class].remove(entry)
        return entry

    def started(self, entry: Waiting, *, was_interrupted: bool, now: float) -> None:
        """Count an assignment: its user is charged, the classes below are passed over."""
        own = self.classes[entry.service_class]
        own.running[entry.requester] = own.running.get(entry.requester, 0) + 1
        if was_interrupted:
            own.rank(entry.requester)
            return
        own.began(entry, now)
        for service_class, lower in self.classes.items():
            if lower.by_age and _is_below(service_class, entry.service_class):
                lower.passed_over += 1

    def stopped(self, service_class: ServiceClass, user: str) -> None:
        """Count one running job of a user less."""
        own = self.classes[service_class]
        own.running[user] -= 1
        if not own.running[user]:
            del own.running[user]
        own.rank(user)

    def in_order(self, now: float, settings: CoreSettings) -> Iterator[Waiting]:
        """Yield all jobs as they would be served if each could be."""
        yield from list(self.interrupted.values())
        lines = [
            _Line(
                queue.in_order(now, settings, settings.max_running_per_user[c]), queue.passed_over
            )
            for c, queue in self.classes.items()
            if queue.by_age
        ]
        yield from _merged(lines, settings.trickle_every)


@dataclass(slots=True)
class _Line:
    entries: Iterator[Waiting]
    passed_over: int


def _merged(lines: list[_Line], every: int) -> Iterator[Waiting]:
    """Merge classes, highest first; a lower one comes up when it was passed over often enough."""
    while lines:
        lowest_first = range(len(lines) - 1, 0, -1)
        due = next((n for n in lowest_first if lines[n].passed_over >= every - 1), 0)
        entry = next(lines[due].entries, None)
        if entry is None:
            del lines[due]
            continue
        yield entry
        lines[due].passed_over = 0
        for lower in lines[due + 1 :]:
            lower.passed_over += 1


def _first_two(row: tuple[float, int, Waiting]) -> tuple[float, int]:
    return row[0], row[1]


def _is_below(service_class: ServiceClass, other: ServiceClass) -> bool:
    order = list(ServiceClass)
    return order.index(service_class) > order.index(other)
