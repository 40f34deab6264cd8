"""How far a long piece of work is, in words and as a bar. Pure; the time is an argument."""

from dataclasses import dataclass, field
from typing import Final

from motherfluxer_model.core.sizes import show_bytes

LINE_EVERY_S: Final = 10.0
LINE_EVERY_SHARE: Final = 0.1
LINE_AT_MOST_EVERY_S: Final = 1.0
BAR_CHARS: Final = 16
FORECAST_FROM: Final = 0.02  # before that a rate says nothing


@dataclass(slots=True)
class Progress:
    """One piece of work; `total` of 0: nobody knows how much it is."""

    what: str
    total: float
    started_s: float
    is_bytes: bool = True
    done: float = 0.0
    _said_s: float = field(init=False)
    _said_share: float = 0.0

    def __post_init__(self) -> None:
        self._said_s = self.started_s

    @property
    def share(self) -> float:
        """Give how much is done, from 0 to 1."""
        return min(1.0, max(0.0, self.done / self.total)) if self.total > 0 else 0.0

    def take_line(self, now_s: float) -> str | None:
        """Give a line for a log where one is due: each tenth, or each ten seconds."""
        waited_s = now_s - self._said_s
        is_far = round(self.share - self._said_share, 6) >= LINE_EVERY_SHARE
        if waited_s < LINE_AT_MOST_EVERY_S or not (is_far or waited_s >= LINE_EVERY_S):
            return None
        self._said_s, self._said_share = now_s, self.share
        return f"{self.what}: {self.words(now_s)}"

    def words(self, now_s: float) -> str:
        """Say how far it is, how fast it goes, and how long it may still take."""
        parts = [self._amount()]
        if self.total > 0:
            parts.insert(0, f"{self.share:.0%}")
        rate = self.done / max(now_s - self.started_s, 1e-9)
        if self.is_bytes and self.done:
            parts.append(f"{show_bytes(rate)}/s")
        if self.share >= FORECAST_FROM and self.done < self.total:
            parts.append(f"{show_seconds((self.total - self.done) / rate)} left")
        return ", ".join(parts)

    def bar(self, now_s: float) -> str:
        """Draw it on one line for a terminal."""
        full = round(self.share * BAR_CHARS)
        return f"{self.what} [{'#' * full}{'.' * (BAR_CHARS - full)}] {self.words(now_s)}"

    def end_words(self, now_s: float) -> str:
        """Say what was done in what time."""
        amount = f" ({show_bytes(self.done)})" if self.is_bytes and self.done else ""
        return f"{self.what}: done{amount} in {show_seconds(now_s - self.started_s)}"

    def _amount(self) -> str:
        if not self.is_bytes:
            return f"{self.done:,.0f} of {self.total:,.0f}"
        done = show_bytes(self.done)
        return f"{done} / {show_bytes(self.total)}" if self.total > 0 else done


def show_seconds(seconds: float) -> str:
    """Say a time for people."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
