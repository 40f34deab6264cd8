"""When a running engine is given up: learned deadlines for its tokens and its answers. Pure.

The engine as a whole is watched: a token of any job, or a step that it counts, is a sign of life.
One answer that stands still beside others that go on is the router's business, which cancels it.
"""

from dataclasses import dataclass, field
from typing import Final

_WEIGHT: Final = 0.1  # of a new sample
_AT_LEAST: Final = 3.0  # times the usual is never late, however even the samples are
_FOREVER_S: Final = 1e9
_SHORT_CHARS: Final = 200  # below it a prompt's length says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the main process waits for its engine; all in seconds but where it says so.

    pong_s: a process that answers no ping for so long stands still; more while it loads.
    doubt_s: after so long without an answer, or a sign of life that was due, it gets no new jobs.
    gap_floor_s, gap_cap_s: bounds of the learned deadline between two signs of life.
    first_floor_s, first_cap_s: bounds of that for the prompts that are being read. Both caps give
        way to twice the expected time.
    stop_s: how long a cancelled job may take to end.
    deviations: how many mean deviations late is too late.
    learned_samples: so many samples make a deadline a learned one.
    away_s: a pause of the watching process itself beyond which nobody is blamed.
    test_s: how long the first self-test may take.
    test_every_s: how often an idle engine is tested.
    spare_idle_s, spare_at_last_s: a spare process is begun after so long without a job, or after
        having served so long.
    spare_again_s: one that has ended by itself is not replaced before.
    """

    pong_s: float = 5.0
    doubt_s: float = 0.75
    loading_pong_s: float = 60.0
    gap_floor_s: float = 5.0
    gap_cap_s: float = 30.0
    first_floor_s: float = 10.0
    first_cap_s: float = 300.0
    stop_s: float = 30.0
    deviations: float = 6.0
    learned_samples: int = 5
    away_s: float = 2.0
    test_s: float = 120.0
    test_every_s: float = 60.0
    spare_idle_s: float = 5.0
    spare_at_last_s: float = 60.0
    spare_again_s: float = 60.0


@dataclass(slots=True)
class Estimate:
    """A running mean, and how far the samples lie from it as a share of it."""

    count: int = 0
    mean: float = 0.0
    deviation: float = 0.0

    def add(self, sample: float) -> None:
        """Take in a sample."""
        self.count += 1
        weight = max(_WEIGHT, 1 / self.count)
        away = abs(sample - self.mean) / self.mean if self.count > 1 and self.mean else 1.0
        self.deviation += weight * (away - self.deviation)
        self.mean += weight * (sample - self.mean)

    def late(self, times: float, deviations: float) -> float:
        """Give what would be late for `times` the usual."""
        return self.mean * times * max(_AT_LEAST, 1 + deviations * self.deviation)


@dataclass(slots=True)
class Watched:
    """One running job. `read_s`: how long its prompt took, where no other was read meanwhile."""

    chars: int
    began_at: float
    is_alone: bool
    is_read: bool = False
    read_s: float | None = None
    stopped_at: float | None = None


@dataclass(slots=True)
class Watchdog:
    """What is known of one process's pace."""

    patience: Patience
    gaps: Estimate = field(default_factory=Estimate)
    reading: Estimate = field(default_factory=Estimate)
    jobs: dict[int, Watched] = field(default_factory=dict)
    is_loading: bool = True
    sign_at: float = 0.0
    pinged_at: float | None = None
    looked_at: float | None = None
    steps: float = 0.0

    def began(self, handle: int, chars: int, now_s: float) -> None:
        """A job was handed over."""
        if not self.jobs:
            self.sign_at = now_s
        self.jobs[handle] = Watched(chars, now_s, is_alone=not self._unread())

    def heard(self, handle: int, now_s: float) -> None:
        """A piece of a job's answer came."""
        watched = self.jobs.get(handle)
        if watched is None:
            return
        if not watched.is_read:
            watched.is_read = True
            watched.read_s = now_s - watched.began_at if watched.is_alone else None
        elif now_s > self.sign_at and not self._unread():
            self.gaps.add(now_s - self.sign_at)
        self.sign_at = now_s

    def stopped(self, handle: int, now_s: float) -> None:
        """A job was cancelled."""
        if (watched := self.jobs.get(handle)) is not None and watched.stopped_at is None:
            watched.stopped_at = now_s

    def ended(self, handle: int, now_s: float, read_tokens: int = 0) -> None:
        """A job is over; `read_tokens` of its prompt had to be computed, 0 if that is not known.

        What the engine remembered of a prompt took no time: it must not count as read quickly.
        """
        watched = self.jobs.pop(handle, None)
        if watched is None:
            return
        self.sign_at = now_s
        if watched.read_s is not None and read_tokens:
            self.reading.add(watched.read_s / read_tokens)

    def pinged(self, now_s: float) -> None:
        """A ping was sent; the oldest that is unanswered counts."""
        if self.pinged_at is None:
            self.pinged_at = now_s

    def ponged(self, steps: float, now_s: float) -> None:
        """The process answered; `steps` counts up while its engine works."""
        self.pinged_at = None
        if steps != self.steps:
            self.steps, self.sign_at = steps, now_s

    def judge(self, now_s: float) -> str | None:
        """Say why the process must be given up; None: it gets on. To be asked often."""
        if self._was_away(now_s):
            return None
        pong_s = self.patience.loading_pong_s if self.is_loading else self.patience.pong_s
        if self.pinged_at is not None and now_s - self.pinged_at > pong_s:
            return f"it has not answered for {now_s - self.pinged_at:.1f} s"
        silent_s = now_s - self.sign_at
        if self.jobs and silent_s > self.silence_s():
            return f"{len(self.jobs)} jobs ran and no token came for {silent_s:.1f} s"
        for watched in self.jobs.values():
            since = watched.stopped_at
            if since is not None and now_s - since > self.patience.stop_s + self._reading_s(0.0):
                return f"a cancelled job has not ended for {now_s - since:.1f} s"
        return None

    def is_doubtful(self, now_s: float) -> bool:
        """Whether something is overdue: no verdict yet, but no time for a new job either.

        The router's own deadlines are short. Once it knows that the instance pauses it does not
        give up what only this instance could go on with.
        """
        doubt_s = self.patience.doubt_s
        if self.pinged_at is not None and now_s - self.pinged_at > doubt_s:
            return True
        return bool(self.jobs) and now_s - self.sign_at > max(doubt_s, self._late_s())

    def silence_s(self) -> float:
        """How long the engine may go without a sign of life, with what it has to do now."""
        patience = self.patience
        gap_s = min(max(self._gap_s(), patience.gap_floor_s), patience.gap_cap_s)
        gap_s = max(gap_s, 2 * self.gaps.mean)
        return max(gap_s, self._reading_s(patience.first_floor_s))

    def _late_s(self) -> float:
        return max(self._gap_s(), self._reading_s(0.0))

    def _gap_s(self) -> float:
        is_learned = self.gaps.count >= self.patience.learned_samples
        return self.gaps.late(1, self.patience.deviations) if is_learned else _FOREVER_S

    def _reading_s(self, floor_s: float) -> float:
        patience, unread = self.patience, self._unread()
        if not unread:
            return 0.0
        if not self.reading.count:
            return patience.first_cap_s
        late_s = self.reading.late(unread, patience.deviations)
        bounded_s = min(max(late_s, floor_s), patience.first_cap_s)
        return max(bounded_s, 2 * self.reading.mean * unread)

    def _unread(self) -> int:
        """How many tokens at most have to be read: there are no more than characters."""
        return sum(
            max(watched.chars, _SHORT_CHARS)
            for watched in self.jobs.values()
            if not watched.is_read
        )

    def _was_away(self, now_s: float) -> bool:
        """Whether the watching process itself stood still; then all clocks start later."""
        before, self.looked_at = self.looked_at, now_s
        if before is None or now_s - before <= self.patience.away_s:
            return False
        lapse_s = now_s - before
        self.sign_at += lapse_s
        if self.pinged_at is not None:
            self.pinged_at += lapse_s
        for watched in self.jobs.values():
            watched.began_at += lapse_s
            if watched.stopped_at is not None:
                watched.stopped_at += lapse_s
        return True
