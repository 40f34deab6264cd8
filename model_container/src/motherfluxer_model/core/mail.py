"""All attempts this instance holds, running or ended but not yet confirmed. Pure.

What an instance holds it offers after a broken link; what the router does not take up is dropped.
"""

from collections.abc import Iterable
from enum import Enum
from typing import Final

from motherfluxer_model.core.answer import Refused
from motherfluxer_model.core.outbox import JobOutbox
from motherfluxer_wire import limits
from motherfluxer_wire.frames import Ack, Batch, Chunk, Done, Failed, ResumeOffer, Welcome

# An acknowledgement of the last chunk may have crossed the end of the answer on its way: the end is
# kept a little longer, so that it can be sent again should the link break just then.
CONFIRMED_KEPT_S: Final = 10.0
ENDED_KEPT_S: Final = 300.0
SLACK_S: Final = 0.005  # jobs due almost together go out together
MAX_HELD_CHARS: Final = 4_000_000
MAX_BATCH_CHARS: Final = 60_000  # six bytes for a character at worst, and the ids: well under 1 MiB
MAX_BATCH_FRAMES: Final = 256


class Opening(Enum):
    """What a job's arrival means."""

    NEW = "new"
    REPLACES = "replaces"  # a newer attempt: the one held so far is void
    KNOWN = "known"  # the same attempt again, or an older one: nothing to do


class Mail:
    """The outboxes of all held attempts, by job."""

    def __init__(self) -> None:
        self._boxes: dict[str, JobOutbox] = {}

    def get(self, job: str, attempt: int) -> JobOutbox | None:
        """Give the attempt's outbox if it is held."""
        box = self._boxes.get(job)
        return box if box is not None and box.attempt == attempt else None

    def judge(self, job: str, attempt: int) -> Opening:
        """Say what the arrival of this attempt means."""
        held = self._boxes.get(job)
        if held is None:
            return Opening.NEW
        return Opening.REPLACES if attempt > held.attempt else Opening.KNOWN

    def open(self, job: str, attempt: int) -> JobOutbox:
        """Begin an attempt; an older one of the same job is forgotten."""
        box = self._boxes[job] = JobOutbox(job, attempt)
        return box

    def drop(self, job: str) -> JobOutbox:
        """Forget a held job and give its outbox. Raises KeyError when it is not held."""
        return self._boxes.pop(job)

    @property
    def running(self) -> list[str]:
        """The jobs that are still being answered."""
        return [job for job, box in self._boxes.items() if box.is_running]

    @property
    def is_flushed(self) -> bool:
        """Whether nothing runs and nothing waits to be sent."""
        return all(box.is_flushed and not box.is_running for box in self._boxes.values())

    @property
    def held_chars(self) -> int:
        """How much text the router has not confirmed."""
        return sum(box.held_chars for box in self._boxes.values())

    @property
    def overflowing(self) -> list[JobOutbox]:
        """Running attempts that hold more unacknowledged text than is sane."""
        return [
            box
            for box in self._boxes.values()
            if box.is_running and box.held_chars > MAX_HELD_CHARS
        ]

    def offers(self) -> list[ResumeOffer]:
        """List what to offer in `hello.resume`: running attempts first."""
        boxes = sorted(self._boxes.values(), key=lambda box: not box.is_running)
        return [box.offer() for box in boxes[: limits.MAX_JOBS_COUNT]]

    def apply_welcome(self, welcome: Welcome, now_s: float) -> list[JobOutbox]:
        """Rewind what the router takes up again, forget the rest and return what was forgotten."""
        wanted = {(resume.job, resume.attempt): resume.from_seq for resume in welcome.resume}
        forgotten = []
        for box in list(self._boxes.values()):
            from_seq = wanted.get((box.job, box.attempt))
            if from_seq is None or box.job in welcome.drop:
                forgotten.append(self._boxes.pop(box.job))
            elif not box.rewind(from_seq):
                # Acknowledged chunks are gone; this answer cannot be joined again.
                forgotten.append(self._boxes.pop(box.job))
                lost = self.open(box.job, box.attempt)
                lost.restart_at(from_seq)
                lost.end(Refused("engine_error", "the chunks asked for are gone", True), now_s)
        return forgotten

    def acknowledge(self, ack: Ack, now_s: float) -> None:
        """Forget what the router has safe."""
        box = self.get(ack.job, ack.attempt)
        if box is not None:
            box.acknowledge(ack.seq, now_s)

    def expire(self, now_s: float) -> None:
        """Forget ended attempts that are confirmed, or that nobody confirmed for minutes."""
        for box in list(self._boxes.values()):
            is_confirmed = box.confirmed_at is not None
            is_old = now_s - (box.ended_at if box.ended_at is not None else now_s) > ENDED_KEPT_S
            if is_old or (is_confirmed and now_s - (box.confirmed_at or 0) > CONFIRMED_KEPT_S):
                del self._boxes[box.job]

    def due_at(self) -> float | None:
        """Say from when on something can be sent; None: nothing waits."""
        times = [due for box in self._boxes.values() if (due := box.due_at()) is not None]
        return min(times, default=None)

    def take(self, now_s: float) -> list[Chunk | Done | Failed | Batch]:
        """Give what is due as few frames: one alone as itself, several as batches."""
        frames: list[Chunk | Done | Failed] = []
        for box in self._boxes.values():
            due = box.due_at()
            if due is not None and due <= now_s + SLACK_S:
                frames.extend(box.take(now_s))
        return [_wrap(group) for group in _grouped(frames)]


def _grouped(
    frames: Iterable[Chunk | Done | Failed],
) -> Iterable[list[Chunk | Done | Failed]]:
    group: list[Chunk | Done | Failed] = []
    chars = 0
    for frame in frames:
        size = len(frame.text) + len(frame.token_ids or ()) if isinstance(frame, Chunk) else 0
        if group and (chars + size > MAX_BATCH_CHARS or len(group) == MAX_BATCH_FRAMES):
            yield group
            group, chars = [], 0
        group.append(frame)
        chars += size
    if group:
        yield group


def _wrap(group: list[Chunk | Done | Failed]) -> Chunk | Done | Failed | Batch:
    return group[0] if len(group) == 1 else Batch(frames=group)
