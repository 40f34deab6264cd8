"""How long to wait before the next try to connect. Pure."""

from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Final

from motherfluxer_wire import limits

FIRST_S: Final = 0.5
LONGEST_S: Final = 30.0
RESTART_S: Final = 0.1  # the protocol: after 1012 within 100 ms
OVERLOADED_FAILURES: Final = 3  # after 1013 the waiting starts higher up
MAX_RETRY_AFTER_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential back-off with full jitter: each wait is drawn from 0 to a doubling ceiling."""

    failures: int = 0
    is_restart: bool = False
    at_least_s: float = 0.0

    @property
    def ceiling_s(self) -> float:
        """The longest the next wait can be, a `Retry-After` left aside."""
        if self.is_restart:
            return RESTART_S / 2  # leaves the other half for connecting itself
        return min(LONGEST_S, FIRST_S * 2.0 ** min(self.failures, 16))

    def wait_s(self, draw: float) -> float:
        """Turn a random draw from [0, 1) into a time to wait."""
        return self.at_least_s + draw * self.ceiling_s

    def failed(self, retry_after_s: float = 0.0) -> "Backoff":
        """Go on after a try that did not come through."""
        failures = self.failures if self.is_restart else self.failures + 1
        return Backoff(failures, at_least_s=min(retry_after_s, MAX_RETRY_AFTER_S))

    def closed(self, code: int) -> "Backoff":
        """Go on after a connection that had been welcomed broke with this close code.

        A connection that worked ends the series of failures, unless the router blames us or says
        that it has too much to do.
        """
        if code == limits.CLOSE_RESTARTING:
            return Backoff(is_restart=True)
        if code == limits.CLOSE_OVERLOADED:
            return Backoff(max(self.failures + 1, OVERLOADED_FAILURES))
        if code == limits.CLOSE_PROTOCOL_ERROR:
            return replace(self.failed())
        return Backoff()


def parse_retry_after(value: str | None, now_s: float) -> float:
    """Read a `Retry-After` header as seconds from `now_s` (Unix time); nonsense counts as 0."""
    if not value:
        return 0.0
    if value.strip().isdecimal():
        return float(value.strip()[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now_s)
    except (ValueError, OverflowError):
        return 0.0
