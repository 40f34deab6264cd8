"""The answers that run in this process, each with the task that keeps it when it ends."""

import asyncio
import contextvars
import uuid
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from apps.chat.askers import Asker
from apps.chat.choice import ModelChoice
from apps.router.errors import ErrorCode, JobError, JobRefusedError
from apps.router.live.streams import JobStream


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningAnswer:
    """An answer under way. `kept` is done when it stands in the database with its end."""

    message_id: uuid.UUID
    conversation_id: uuid.UUID
    asker: Asker
    stream: JobStream
    choice: ModelChoice
    kept: asyncio.Task[None]


_answers: dict[uuid.UUID, RunningAnswer] = {}
_claims: set[str] = set()


class Claim:
    """The right to have an answer under way, held by whoever asks until the answer has ended."""

    def __init__(self, keys: frozenset[str]) -> None:
        self._keys = keys
        self.is_handed_on = False

    def release(self) -> None:
        """Let the next question in."""
        _claims.difference_update(self._keys)


@contextmanager
def claimed(*keys: str) -> Iterator[Claim]:
    """Claim the keys together, and release them unless the claim was handed on meanwhile.

    Raises JobRefusedError when one of them is held: an answer is still running there.
    """
    if not _claims.isdisjoint(keys):
        message = "Your last question is still being answered."
        raise JobRefusedError(JobError(ErrorCode.ANSWER_RUNNING, message))
    _claims.update(keys)
    claim = Claim(frozenset(keys))
    try:
        yield claim
    finally:
        if not claim.is_handed_on:
            claim.release()


def running_add(
    *,
    message_id: uuid.UUID,
    conversation_id: uuid.UUID,
    asker: Asker,
    stream: JobStream,
    choice: ModelChoice,
    claim: Claim,
    keeping: Coroutine[None, None, None],
) -> RunningAnswer:
    """Note an answer and start the task that keeps it; the claim ends with the task."""
    claim.is_handed_on = True
    # A context of its own: the request's thread and its other belongings end with the request.
    kept = asyncio.get_running_loop().create_task(keeping, context=contextvars.Context())
    answer = RunningAnswer(
        message_id=message_id,
        conversation_id=conversation_id,
        asker=asker,
        stream=stream,
        choice=choice,
        kept=kept,
    )
    _answers[message_id] = answer

    def forget(_: asyncio.Task[None]) -> None:
        # The same message may have been taken up again meanwhile.
        if _answers.get(message_id) is answer:
            del _answers[message_id]
        claim.release()

    kept.add_done_callback(forget)
    return answer


def running_find(*, message_id: uuid.UUID) -> RunningAnswer | None:
    """Return an answer that runs in this process."""
    return _answers.get(message_id)


def running_in(*, conversation_id: uuid.UUID) -> list[RunningAnswer]:
    """Return the answers that run in a conversation."""
    return [one for one in _answers.values() if one.conversation_id == conversation_id]
