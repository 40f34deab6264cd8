"""Things that are done again and again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)


async def repeat(act: Callable[[], Awaitable[None]], every_s: float, trouble: str) -> None:
    """Do something again and again, whatever goes wrong with it; say so when it begins."""
    is_failing = False
    while True:
        await asyncio.sleep(every_s)
        try:
            await act()
        except Exception:  # the rim of the task: a bug must not stop the clock, nor a database away
            if not is_failing:
                log.exception(trouble)
            is_failing = True
        else:
            is_failing = False
