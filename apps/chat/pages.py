"""What the chat's templates are given."""

import uuid
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest

from apps.chat.allowances import allowance_data, allowance_of, question_chars_of
from apps.chat.askers import Asker
from apps.chat.conf import CONF
from apps.chat.models import Conversation
from apps.chat.selectors import Turn, conversations_of, messages_of, turns_now
from apps.chat.visits import is_users_site
from apps.chat.words import Words, broken_off_words, cut_words, error_words, place_words

EXAMPLES = (
    "What is MotherFluxer?",
    "How does the router choose an instance?",
    "What happens when an instance dies?",
    "Tell me a joke",
)


@dataclass(frozen=True, slots=True)
class ShownTurn:
    """A turn with the words that go under it."""

    turn: Turn
    is_last: bool
    error: Words | None
    cut: Words | None
    can_continue: bool
    place: str
    stream_url: str


def stream_url(message_id: uuid.UUID) -> str:
    """Return the address of an answer's event stream, which Django's routing does not know."""
    return f"/chat/streams/{message_id}"


async def chat_page(
    request: HttpRequest, asker: Asker, *, conversation: Conversation | None = None
) -> dict[str, Any]:
    """Give the chat page its turns, what is left for a visitor, and a user's history."""
    turns: list[Turn] = []
    if conversation is not None:
        rows = await sync_to_async(messages_of)(conversation_id=conversation.pk)
        turns = await turns_now(rows)
    shown = _turns_shown(turns, asker)
    allowance = await allowance_of(asker)
    return {
        "conversation": conversation,
        "turns": shown,
        "is_running": any(one.turn.state == "running" for one in shown),
        "allowance": allowance_data(allowance),
        "examples": EXAMPLES,
        "is_users_site": is_users_site(request),
        "history": await _history(asker),
        "refresh_s": CONF.refresh_s,
        "max_question_chars": question_chars_of(asker),
        "retention_h": CONF.demo_retention_h,
    }


async def history_page(user_id: int) -> dict[str, Any]:
    """Give the history page a user's conversations."""
    found = await sync_to_async(conversations_of)(user_id=user_id, limit=CONF.history_length_count)
    return {"history": found, "is_users_site": True}


async def _history(asker: Asker) -> list[Conversation]:
    if asker.user_id is None:
        return []
    find = sync_to_async(conversations_of)
    return await find(user_id=asker.user_id, limit=CONF.history_length_count)


def _turns_shown(turns: list[Turn], asker: Asker) -> list[ShownTurn]:
    """Show each turn; only the last one can be continued."""
    return [
        ShownTurn(
            turn=turn,
            is_last=turn is turns[-1],
            error=_error_of(turn, is_last=turn is turns[-1]),
            cut=cut_words(turn.cut_by, is_visitor=asker.is_visitor) if turn.cut_by else None,
            can_continue=turn.can_continue and turn is turns[-1],
            place=_place_of(turn),
            stream_url=stream_url(turn.id),
        )
        for turn in turns
    ]


def _error_of(turn: Turn, *, is_last: bool) -> Words | None:
    if turn.state != "failed":
        return None
    say = broken_off_words if turn.can_continue and is_last else error_words
    return say(turn.error_code)


def _place_of(turn: Turn) -> str:
    """Say where a waiting answer stands; nothing once an instance has it."""
    waiting = turn.waiting
    if waiting is None:
        return ""
    return place_words(
        place=waiting.place,
        waiting=waiting.waiting,
        online=waiting.instances_online,
        expected_wait_s=waiting.expected_wait_s,
    )
