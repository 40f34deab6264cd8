"""What the chat's templates are given."""

import uuid
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest

from apps.chat.allowances import allowance_data, allowance_of
from apps.chat.askers import Asker
from apps.chat.conf import CONF
from apps.chat.models import Conversation
from apps.chat.selectors import Turn, conversations_of, turns_of
from apps.chat.visits import is_users_site
from apps.chat.words import Words, error_words, place_words
from apps.router.selectors import RouterView, router_view

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
    error: Words | None
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
        turns = await sync_to_async(turns_of)(conversation_id=conversation.pk)
    shown = _turns_shown(turns)
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
        "max_question_chars": CONF.max_question_chars,
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


def _turns_shown(turns: list[Turn]) -> list[ShownTurn]:
    view = router_view() if any(turn.state == "running" for turn in turns) else None
    return [
        ShownTurn(
            turn=turn,
            error=error_words(turn.error_code) if turn.state == "failed" else None,
            place=_place_of(turn, view) if view is not None and turn.state == "running" else "",
            stream_url=stream_url(turn.id),
        )
        for turn in turns
    ]


def _place_of(turn: Turn, view: RouterView) -> str:
    """Say where a waiting answer stands; nothing once an instance has it."""
    places = [job.place for job in view.jobs if job.job_id == turn.job_id and job.place is not None]
    if not places:
        return ""
    waiting = sum(job.place is not None for job in view.jobs)
    return place_words(place=places[0], waiting=waiting, online=len(view.instances))
