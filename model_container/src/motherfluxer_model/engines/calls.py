"""The jobs that run in an engine's process: which handle is whose, and where each answer goes."""

import asyncio

from motherfluxer_model.core.answer import Finished, Piece
from motherfluxer_model.errors import GenerationError
from motherfluxer_wire.frames import Job

Answer = asyncio.Queue[Piece | Finished | GenerationError]


class Calls:
    """The running jobs."""

    def __init__(self) -> None:
        self._last_handle = 0
        self._answers: dict[int, Answer] = {}
        self._handles: dict[tuple[str, int], int] = {}

    def __len__(self) -> int:
        return len(self._answers)

    def open(self, job: Job) -> tuple[int, Answer]:
        """Note a job; give its handle and the queue through which its answer will come."""
        self._last_handle += 1
        answer = self._answers[self._last_handle] = Answer()
        self._handles[(job.job, job.attempt)] = self._last_handle
        return self._last_handle, answer

    def find(self, job: str, attempt: int) -> int | None:
        """Give the handle of a running job."""
        return self._handles.get((job, attempt))

    def tell(self, handle: int, said: Piece | Finished | GenerationError) -> None:
        """Pass on what came for a job; nobody waits for one that was closed."""
        if (answer := self._answers.get(handle)) is not None:
            answer.put_nowait(said)

    def close(self, job: Job, handle: int) -> None:
        """Forget a job."""
        self._answers.pop(handle, None)
        if self._handles.get((job.job, job.attempt)) == handle:
            del self._handles[(job.job, job.attempt)]

    def fail(self, error: GenerationError) -> None:
        """End all running jobs."""
        for answer in self._answers.values():
            answer.put_nowait(error)
