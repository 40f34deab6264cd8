"""The answers under way: those of this process, each with the task that keeps it, and others'."""

import asyncio
import contextvars
import uuid
from collections.abc import Coroutine
from dataclasses import dataclass

from django.conf import settings

from apps.chat.askers import Asker
from apps.chat.choice import ModelChoice, model_choice
from apps.chat.claims import claims
from apps.redis_clients import REDIS_AWAY
from apps.router.errors import JobRefusedError
from apps.router.live.streams import JobStream
from apps.router.services import job_follow


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningAnswer:
    """An answer under way. `kept` is done when it stands in the database with its end."""

    message_id: uuid.UUID
    conversation_id: uuid.UUID
    asker: Asker
    stream: JobStream
    choice: ModelChoice
    kept: asyncio.Task[None]


@dataclass(frozen=True, slots=True)
class UnderWay:
    """An answer under way somewhere. `stream` None: it is going over to another process."""

    stream: JobStream | None
    choice: ModelChoice


_answers: dict[uuid.UUID, RunningAnswer] = {}


def running_add(
    *,
    message_id: uuid.UUID,
    conversation_id: uuid.UUID,
    asker: Asker,
    stream: JobStream,
    choice: ModelChoice,
    keeping: Coroutine[None, None, None],
) -> RunningAnswer:
    """Note an answer and start the task that keeps it."""
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

    kept.add_done_callback(forget)
    return answer


def running_find(*, message_id: uuid.UUID) -> RunningAnswer | None:
    """Return an answer that runs in this process."""
    return _answers.get(message_id)


async def under_way_find(
    *, message_id: uuid.UUID, conversation_id: uuid.UUID, job_id: str
) -> UnderWay | None:
    """Return an answer that runs in the database, wherever it does; None: nobody has it any more.

    A site that is one process has it here or nowhere.
    """
    if live := running_find(message_id=message_id):
        return UnderWay(live.stream, live.choice)
    if not settings.ROUTER_APART:
        return None
    try:
        stream = await job_follow(job_id=job_id)
        if stream is None and not await claims().is_held(str(conversation_id)):
            return None
    except (JobRefusedError, *REDIS_AWAY):
        stream = None  # it cannot be told now: nobody has said that it has ended
    return UnderWay(stream, await model_choice())
