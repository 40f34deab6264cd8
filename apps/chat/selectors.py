"""Reads of conversations; each asks whose it is."""

import uuid
from dataclasses import dataclass

from django.db.models import QuerySet

from apps.chat.askers import Asker
from apps.chat.continuing import is_continuable
from apps.chat.models import Conversation, Message
from apps.chat.running import running_find
from apps.router.errors import ErrorCode
from motherfluxer_wire.fields import Role
from motherfluxer_wire.frames import Message as WireMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A message as people see it; an answer that runs is as long as it is now.

    `state` is "running", "complete", "stopped" or "failed"; `offset` counts the text's characters;
    `model_label` is what people see the model called; `earlier_job_ids` are those of the jobs that
    the answer was continued from, oldest first.
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


def turns_of(*, conversation_id: uuid.UUID) -> list[Turn]:
    """Return a conversation's turns in order."""
    return [turn_of(row) for row in Message.objects.filter(conversation_id=conversation_id)]


def answer_find(*, message_id: uuid.UUID, asker: Asker) -> Turn | None:
    """Return an answer in one of this asker's conversations; None for anybody else's."""
    found = Message.objects.filter(
        pk=message_id, role=Message.Role.ASSISTANT, conversation__in=_owned(asker)
    )
    row = found.first()
    return None if row is None else turn_of(row)


def broken_answer_find(*, message_id: uuid.UUID, asker: Asker) -> BrokenAnswer | None:
    """Return an answer of this asker's that may be continued; only a conversation's last can be."""
    found = Message.objects.filter(pk=message_id, conversation__in=_owned(asker))
    row = found.first()
    if row is None or not turn_of(row).can_continue:
        return None
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


def turn_of(row: Message) -> Turn:
    """Show a message; a running answer that no live stream feeds any more was interrupted."""
    text, state, error_code = row.content, row.state, row.error_code
    instance_name, attempts = row.instance_name, row.attempts
    model_label = row.model_label or row.model_name
    if row.state == Message.State.RUNNING:
        live = running_find(message_id=row.pk)
        if live is None:
            state, error_code = Message.State.FAILED, ErrorCode.ANSWER_INTERRUPTED
        else:
            text, attempts = live.stream.text, live.stream.attempt
            if live.stream.started is not None:
                instance_name = live.stream.started.instance_name
                model_label = live.choice.label(live.stream.started.model_name)
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
    )


def _owned(asker: Asker) -> QuerySet[Conversation]:
    if asker.user_id is not None:
        return Conversation.objects.filter(owner_id=asker.user_id)
    if not asker.visitor_key:
        return Conversation.objects.none()
    return Conversation.objects.filter(owner=None, visitor_key=asker.visitor_key)


def _wire_role(row: Message) -> Role:
    return "assistant" if row.role == Message.Role.ASSISTANT else "user"
