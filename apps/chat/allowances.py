"""What a visitor has left, as pages and streams show it."""

import time
from typing import Any

from apps.chat.askers import Asker
from apps.chat.words import allowance_words
from apps.router import ports
from apps.router.ports import Allowance


async def allowance_of(asker: Asker) -> Allowance | None:
    """Return what is left for a visitor; None for a registered user, who has no limit."""
    gate = ports.visitor_gate.get_or_none()
    if not asker.is_visitor or gate is None:
        return None
    return await gate.allowance(asker.visitor_key, asker.address)


def allowance_data(allowance: Allowance | None) -> dict[str, Any] | None:
    """Return what templates and scripts show of it."""
    if allowance is None:
        return None
    return {
        "limit": allowance.limit,
        "left": allowance.left,
        "resets_at": allowance.resets_at,
        "resets": allowance_words(allowance, now=time.time()),
    }
