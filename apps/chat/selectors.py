"""Reads of conversations; each asks whose it is.

Those of the database are plain functions; what runs now is looked up in the event loop.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import QuerySet

from apps.chat.askers import Asker
from apps.chat.continuing import is_continuable
from apps.chat.models import Conversation, Message
from apps.chat.running import UnderWay, under_way_find
from apps.router.errors import ErrorCode
from apps.router.live.streams import Waiting
from motherfluxer_wire.fields import Role
from motherfluxer_wire.frames import Message as WireMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A message as people see it; an answer that runs is as long as it is now.

    `state` is "running", "complete", "stopped" or "failed"; `offset` counts the text's characters;
    `model_label` is what people see the model called; `earlier_job_ids` are those of the jobs that
    the answer was continued from, oldest first; `cut_by` is the limit that cut it, or empty;
    `waiting` is its place in the queue.
    """

    id: uuid.UUID
    role: str
    text: str
    state: str
    instance_name: str
    model_label: str
    attempts: int
    job_id: str
    earlier_job_ids: tuple[str, ...]
    error_code: str
    cut_by: str
    waiting: Waiting | None = None

    @property
    def offset(self) -> int:
        """Where a reader of the stream goes on."""
        return len(self.text)

    @property
    def can_continue(self) -> bool:
        """Whether it broke off, or was stopped, where an instance may go on."""
        has_ended = self.state in (Message.State.FAILED, Message.State.STOPPED)
        return has_ended and is_continuable(
            is_whole=False, text=self.text, error_code=self.error_code
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenAnswer:
    """An answer that broke off or was stopped, and the conversation up to its question."""

    message_id: uuid.UUID
    conversation_id: uuid.UUID
    job_id: str
    earlier_job_ids: tuple[str, ...]
    model_name: str
    text: str
    turns: tuple[WireMessage, ...]


def conversation_find(*, conversation_id: uuid.UUID, asker: Asker) -> Conversation | None:
    """Return a conversation of this asker's; None for anybody else's."""
    return _owned(asker).filter(pk=conversation_id).first()


def conversations_of(*, user_id: int, limit: int) -> list[Conversation]:
    """Return a user's conversations, the newest first."""
    return list(Conversation.objects.filter(owner_id=user_id)[:limit])


def conversations_owned(*, user_id: int) -> QuerySet[Conversation]:
    """Return a user's conversations, for a list that is filtered and cut into pages."""
    return Conversation.objects.filter(owner_id=user_id)


def messages_of(*, conversation_id: uuid.UUID) -> list[Message]:
    """Return a conversation's messages in order."""
    return list(Message.objects.filter(conversation_id=conversation_id))


def answer_find(*, message_id: uuid.UUID, asker: Asker) -> Message | None:
    """Return an answer in one of this asker's conversations; None for anybody else's."""
    found = Message.objects.filter(
        pk=message_id, role=Message.Role.ASSISTANT, conversation__in=_owned(asker)
    )
    return found.first()


def answer_again(*, message_id: uuid.UUID) -> Message | None:
    """Return a message as it stands now; None when it has been deleted."""
    return Message.objects.filter(pk=message_id).first()


def broken_answer_of(row: Message) -> BrokenAnswer | None:
    """Return an answer as one to go on with; only a conversation's last can be."""
    turns = wire_turns_of(conversation_id=row.conversation_id)
    if len(turns) != row.number + 1:
        return None
    return BrokenAnswer(
        message_id=row.pk,
        conversation_id=row.conversation_id,
        job_id=row.job_id,
        earlier_job_ids=tuple(row.earlier_job_ids.split()),
        model_name=row.model_name,
        text=row.content,
        turns=tuple(turns[:-1]),
    )


def wire_turns_of(*, conversation_id: uuid.UUID) -> list[WireMessage]:
    """Return a conversation as the router takes it."""
    rows = Message.objects.filter(conversation_id=conversation_id)
    return [WireMessage(role=_wire_role(row), content=row.content) for row in rows]


async def turns_now(rows: Sequence[Message]) -> list[Turn]:
    """Show messages as they are now."""
    return [await turn_now(row) for row in rows]


async def turn_now(row: Message) -> Turn:
    """Show a message as it is now."""
    return turn_of(row, await under_way_of(row))


async def under_way_of(row: Message) -> UnderWay | None:
    """Return the answer under way of a message; None when there is none, or none any more."""
    if row.state != Message.State.RUNNING:
        return None
    return await under_way_find(
        message_id=row.pk, conversation_id=row.conversation_id, job_id=row.job_id
    )


def turn_of(row: Message, under_way: UnderWay | None = None) -> Turn:
    """Show a message; a running answer that nobody has under way any more was interrupted."""
    text, state, error_code = row.content, row.state, row.error_code
    instance_name, attempts = row.instance_name, row.attempts
    model_label = row.model_label or row.model_name
    waiting = None
    if row.state == Message.State.RUNNING and under_way is None:
        state, error_code = Message.State.FAILED, ErrorCode.ANSWER_INTERRUPTED
    elif under_way is not None and (stream := under_way.stream) is not None:
        text, attempts, waiting = stream.text, stream.attempt, stream.waiting
        if stream.started is not None:
            instance_name = stream.started.instance_name
            model_label = under_way.choice.label(stream.started.model_name)
    return Turn(
        id=row.pk,
        role=row.role,
        text=text,
        state=str(state),
        instance_name=instance_name,
        model_label=model_label,
        attempts=attempts,
        job_id=row.job_id,
        earlier_job_ids=tuple(row.earlier_job_ids.split()),
        error_code=str(error_code),
        cut_by=row.cut_by if state == Message.State.COMPLETE else "",
        waiting=waiting,
    )


def _owned(asker: Asker) -> QuerySet[Conversation]:
    if asker.user_id is not None:
        return Conversation.objects.filter(owner_id=asker.user_id)
    if not asker.visitor_key:
        return Conversation.objects.none()
    return Conversation.objects.filter(owner=None, visitor_key=asker.visitor_key)


def _wire_role(row: Message) -> Role:
    return "assistant" if row.role == Message.Role.ASSISTANT else "user"
