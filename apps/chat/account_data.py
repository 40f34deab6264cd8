"""Fills the router's `account_data`: a user's conversations, to take along and to delete."""

import json
from collections.abc import Iterator
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.utils.text import slugify

from apps.chat.models import Conversation, Message

_NAME_CHARS = 50


class ChatData:
    """Conversations with their messages."""

    def export(self, user_id: int) -> Iterator[tuple[str, bytes]]:
        """Yield each conversation as JSON and as Markdown."""
        mine = Conversation.objects.filter(owner_id=user_id).order_by("created", "pk")
        for conversation in mine.iterator():
            messages = list(conversation.messages.order_by("number"))
            name = f"conversations/{_file_name(conversation)}"
            yield f"{name}.json", _as_json(conversation, messages)
            yield f"{name}.md", _as_markdown(conversation, messages).encode()

    def delete(self, user_id: int) -> None:
        """Delete them all."""
        Conversation.objects.filter(owner_id=user_id).delete()


def _file_name(conversation: Conversation) -> str:
    """Name a conversation by day and title; its number keeps two of the same name apart."""
    title = slugify(conversation.title)[:_NAME_CHARS].strip("-")
    day = f"{conversation.created:%Y-%m-%d}"
    return "-".join(part for part in (day, title, conversation.pk.hex[:8]) if part)


def _as_json(conversation: Conversation, messages: list[Message]) -> bytes:
    return json.dumps(
        {**_columns(conversation), "messages": [_columns(message) for message in messages]},
        cls=DjangoJSONEncoder,
        indent=2,
        ensure_ascii=False,
    ).encode()


def _columns(row: Conversation | Message) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def _as_markdown(conversation: Conversation, messages: list[Message]) -> str:
    head = f"# {conversation.title}\n\nBegun on {conversation.created:%Y-%m-%d at %H:%M} UTC.\n"
    return "\n".join([head, *(_turn_as_markdown(message) for message in messages)])


def _turn_as_markdown(message: Message) -> str:
    if message.role == Message.Role.USER:
        return f"## You\n\n{message.content}\n"
    speaker = message.model_label or message.model_name or "The model"
    end = _end_of(message)
    return f"## {speaker}\n\n{message.content}\n" + (f"\n*({end})*\n" if end else "")


def _end_of(message: Message) -> str:
    """Say why an answer ends where it does; nothing of one that was finished."""
    if message.state != Message.State.COMPLETE:
        return message.get_state_display().lower()
    return "cut at the limit of its length" if message.cut_by else ""
