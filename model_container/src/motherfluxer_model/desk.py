"""Where jobs are taken in and answered: the engine on one side, the router's mail on the other.

Knows nothing of connections: jobs go on while the link is broken.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from motherfluxer_model.core.announcement import Announcement
from motherfluxer_model.core.answer import Ending, Finished, Piece, Refused
from motherfluxer_model.core.mail import Mail, Opening
from motherfluxer_model.core.outbox import JobOutbox
from motherfluxer_model.core.tally import Tally
from motherfluxer_model.engines.port import Engine
from motherfluxer_model.errors import GenerationError
from motherfluxer_model.load import measure_load
from motherfluxer_wire.frames import Cancel, Heartbeat, Job, Model, ModelsChanged, Usage, Welcome
from motherfluxer_wire.limits import MAX_NOTE_CHARS

logger = logging.getLogger(__name__)
NOTHING_SAID: Final = Finished("cancelled", Usage(prompt_tokens=0, completion_tokens=0))


class Desk:
    """Runs jobs on the engine and puts what it says into the mail."""

    def __init__(self, engine: Engine, slots: int, clock: Callable[[], float]) -> None:
        self.mail = Mail()
        self.tally = Tally()
        self.announcement = Announcement()
        self.slots = slots
        self.news = asyncio.Event()  # set when there may be something to send
        self.is_draining = False
        self._engine = engine
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._begun: set[tuple[str, int]] = set()  # what the engine has heard of
        engine.watch(self._note_models)

    @property
    def running(self) -> list[str]:
        """The jobs that are being answered."""
        return self.mail.running

    @property
    def is_empty(self) -> bool:
        """Whether nothing runs and everything said has been handed to the link."""
        return self.mail.is_flushed

    def greeting(self) -> list[Model]:
        """Give the models to introduce this instance with; where they change later, say so."""
        self.announcement.note(self._engine.models)
        return self.announcement.greet()

    def take_announcement(self) -> ModelsChanged | None:
        """Give what must be said of the models before any more mail."""
        models = self.announcement.take()
        return None if models is None else ModelsChanged(models=models, slots=self.slots)

    def take_in(self, job: Job) -> None:
        """Begin to answer a job, or refuse it; one received twice is ignored."""
        opening = self.mail.judge(job.job, job.attempt)
        if opening is Opening.KNOWN:
            return
        if opening is Opening.REPLACES:
            self._stop(self.mail.drop(job.job))
        has_room = len(self.mail.running) < self.slots and not self.is_draining
        box = self.mail.open(job.job, job.attempt)
        if not has_room:
            why = "this instance is draining" if self.is_draining else "all slots are taken"
            self._end(box, Refused("overloaded", why, retryable=True))
            return
        task = asyncio.create_task(self._answer(job, box), name=f"job {job.job}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self, order: Cancel) -> None:
        """Stop an attempt; one that is not known here is reported as stopped."""
        box = self.mail.get(order.job, order.attempt)
        if box is not None:
            self._stop(box)
        elif self.mail.judge(order.job, order.attempt) is Opening.NEW:
            self._end(self.mail.open(order.job, order.attempt), NOTHING_SAID)

    def apply_welcome(self, welcome: Welcome) -> None:
        """Go on with what the router takes up again, stop the rest."""
        for box in self.mail.apply_welcome(welcome, self._clock()):
            self._stop(box)
        self.news.set()

    def heartbeat(self) -> Heartbeat:
        """Describe this moment, and tidy up."""
        self.mail.expire(self._clock())
        for box in self.mail.overflowing:
            self._stop(box)
            self._end(box, Refused("overloaded", "nobody acknowledges this answer", True))
        return Heartbeat(
            running=self.mail.running,
            slots=self.slots,
            tokens_per_s=self.tokens_per_s,
            load=measure_load(),
        )

    @property
    def tokens_per_s(self) -> float:
        """Tokens of the last seconds, all jobs together."""
        return self.tally.tokens_per_s(self._clock())

    async def close(self) -> None:
        """Stop all jobs."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _note_models(self) -> None:
        self.announcement.note(self._engine.models)
        self.news.set()

    async def _answer(self, job: Job, box: JobOutbox) -> None:
        if not box.is_running:
            return  # stopped before it began
        self._begun.add((job.job, job.attempt))
        watch = self.tally.begin(self._clock())
        try:
            async for said in self._engine.generate(job):
                if isinstance(said, Piece):
                    self.tally.piece(watch, said, self._clock())
                    self._add(box, said)
                else:
                    self._end(box, said)
        except GenerationError as error:
            refusal = Refused(error.code, error.message[:MAX_NOTE_CHARS], error.retryable)
            self._end(box, refusal)
        except Exception as error:  # the rim of one job: its siblings must not be touched
            logger.exception("job %s failed", job.job)
            words = f"{type(error).__name__} in the engine"
            self._end(box, Refused("engine_error", words, retryable=True))
        finally:
            self.tally.release(watch)
            self._begun.discard((job.job, job.attempt))
        if box.is_running:
            self._end(box, Refused("engine_error", "the engine gave no ending", retryable=True))

    def _add(self, box: JobOutbox, piece: Piece) -> None:
        box.add(piece)
        self.news.set()

    def _end(self, box: JobOutbox, ending: Ending) -> None:
        if box.is_running:
            self.tally.end(ending, self._clock())
        box.end(ending, self._clock())
        self.news.set()

    def _stop(self, box: JobOutbox) -> None:
        if (box.job, box.attempt) in self._begun:
            self._engine.cancel(box.job, box.attempt)
        else:
            self._end(box, NOTHING_SAID)
