"""What a link carries for a job's home in another process, until it is kept there."""

from collections import deque
from dataclasses import dataclass, field

from motherfluxer_wire.frames import Chunk, Done, Failed

OfJob = Chunk | Done | Failed


@dataclass(slots=True)
class Carried:
    """One attempt on a link. `unsafe`: what its home has not yet said to be kept, in order.

    is_over: its end has come; the router hears of it once, however often the instance says it.
    """

    attempt: int
    home: str
    is_over: bool = False
    unsafe: deque[OfJob] = field(default_factory=deque)

    def acknowledge(self, seq: int) -> None:
        """Let go of what is kept: the chunks below `seq`."""
        while self.unsafe and self.unsafe[0].seq < seq:
            self.unsafe.popleft()
