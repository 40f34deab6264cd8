"""Chooses how much of a conversation goes along with a question. Pure."""

from collections.abc import Sequence
from itertools import pairwise

from apps.chat.conf import CONF, ChatConf
from motherfluxer_wire.frames import Message


def prompt_budget_bytes(context_tokens: int, conf: ChatConf = CONF) -> int:
    """Return how many bytes of UTF-8 surely fit a model of that context beside its answer."""
    return int(context_tokens * conf.prompt_share * conf.bytes_per_token)


def turns_fit(
    turns: Sequence[Message], *, budget_bytes: int, conf: ChatConf = CONF
) -> tuple[Message, ...]:
    """Return the newest whole exchanges within the budget, and the last question in any case.

    An exchange is a question with its answer: a model is never shown an answer alone.
    """
    *earlier, question = turns
    left = budget_bytes - _weight(question, conf)
    chosen: list[Message] = []
    for asked, answered in reversed(_exchanges(earlier)):
        left -= _weight(asked, conf) + _weight(answered, conf)
        if left < 0:
            break
        chosen[:0] = (asked, answered)
    return (*chosen, question)


def _exchanges(turns: Sequence[Message]) -> list[tuple[Message, Message]]:
    """Pair each question with the answer that follows it; those left alone are dropped."""
    return [
        (asked, answered)
        for asked, answered in pairwise(turns)
        if asked.role == "user" and answered.role == "assistant" and answered.content
    ]


def _weight(turn: Message, conf: ChatConf) -> int:
    return len(turn.content.encode()) + conf.template_bytes_per_turn
