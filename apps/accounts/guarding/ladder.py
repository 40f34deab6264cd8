"""How long who guesses must wait after how many wrong guesses. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """The first guesses are free, then each waits twice as long, from the lock on much longer.

    free_count: the wrong guess after which one waits first.
    lock_count: the wrong guess from which on it is a lock, of which the owner is told.
    window_s: how long a wrong guess counts, from the first one on.
    """

    free_count: int
    lock_count: int
    first_wait_s: int
    lock_wait_s: int
    most_wait_s: int
    window_s: int

    def wait_s(self, wrong_count: int) -> int:
        """Return how long after that wrong guess the next one may come, 0 for at once."""
        if wrong_count < self.free_count:
            return 0
        if wrong_count < self.lock_count:
            wait = self.first_wait_s << (wrong_count - self.free_count)
            return min(wait, self.lock_wait_s)
        # Bounded before it is doubled so often, which a long attack would make huge.
        doublings = min(wrong_count - self.lock_count, 16)
        return min(self.lock_wait_s << doublings, self.most_wait_s)


HOUR_S = 3600
DAY_S = 24 * HOUR_S

# One account, from wherever: some 35 guesses a day.
ACCOUNT = Ladder(
    free_count=5,
    lock_count=10,
    first_wait_s=2,
    lock_wait_s=15 * 60,
    most_wait_s=HOUR_S,
    window_s=DAY_S,
)
# One address, at whichever accounts. Many people may share one, so more is free.
NETWORK = Ladder(
    free_count=20,
    lock_count=30,
    first_wait_s=2,
    lock_wait_s=15 * 60,
    most_wait_s=HOUR_S,
    window_s=6 * HOUR_S,
)
# A browser that this account was signed in with before: strangers cannot use it up.
DEVICE = ACCOUNT
# The codes of the second step, once the password was right.
SECOND_STEP = Ladder(
    free_count=5,
    lock_count=8,
    first_wait_s=5,
    lock_wait_s=15 * 60,
    most_wait_s=HOUR_S,
    window_s=DAY_S,
)
