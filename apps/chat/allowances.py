"""What a visitor may ask: bounds, tickets, and what is left, as pages and streams show it.

A registered user has none of it: no bounds but the chat's own, no ticket, no allowance.
"""

import contextlib
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

from apps.chat.askers import Asker
from apps.chat.conf import CONF
from apps.chat.words import comes_back_words, left_words
from apps.router import ports
from apps.router.ports import Allowance, VisitorBounds, VisitorTicket

logger = logging.getLogger(__name__)


async def allowance_of(asker: Asker) -> Allowance | None:
    """Return what is left for a visitor; None for a registered user, who has no limit.

    None as well when it cannot be told now.
    """
    gate = ports.visitor_gate.get_or_none()
    if not asker.is_visitor or gate is None:
        return None
    return await gate.allowance(asker.visitor_key, asker.address)


def allowance_data(allowance: Allowance | None) -> dict[str, Any] | None:
    """Return what templates and scripts show of it. `comes_back_at`: seconds since the epoch."""
    if allowance is None:
        return None
    return {
        "limit": allowance.limit,
        "left": allowance.left,
        "left_words": left_words(allowance),
        "comes_back_at": allowance.comes_back_at,
        "comes_back_words": comes_back_words(allowance, now=time.time()),
    }


def bounds_of(asker: Asker) -> VisitorBounds | None:
    """Return what bounds a visitor's questions and answers; None for a registered user."""
    return ports.visitor_gate.get().bounds if asker.is_visitor else None


def question_chars_of(asker: Asker) -> int:
    """Return how long a question may be."""
    bounds = bounds_of(asker)
    return CONF.max_question_chars if bounds is None else bounds.question_chars


@contextlib.asynccontextmanager
async def ticket_taken(asker: Asker, *, proof: str) -> AsyncIterator[VisitorTicket | None]:
    """Take a ticket for a visitor's question, and give it back if the block fails.

    Raises JobRefusedError when there is none to be had.
    """
    if not asker.is_visitor:
        yield None
        return
    gate = ports.visitor_gate.get()
    ticket = await gate.take(asker.visitor_key, asker.address, proof=proof)
    try:
        yield ticket
    except BaseException:
        await ticket_end(ticket, is_used=False)
        raise


@contextlib.asynccontextmanager
async def ticket_held(ticket: VisitorTicket | None) -> AsyncIterator[None]:
    """Hold a visitor's ticket while the block waits for an answer."""
    if ticket is None:
        yield
        return
    async with ports.visitor_gate.get().held(ticket):
        yield


async def ticket_end(ticket: VisitorTicket | None, *, is_used: bool) -> None:
    """Let a visitor's next question in; unless the ticket was used, give it back."""
    if ticket is None:
        return
    try:
        await ports.visitor_gate.get().end(ticket, is_used=is_used)
    except Exception:  # what hangs on it goes on; a ticket that nobody ends is void by itself
        logger.exception("A visitor's ticket could not be ended.")
