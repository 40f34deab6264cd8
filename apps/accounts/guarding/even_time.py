"""Lets the answer to a sign-up come at full half seconds, whatever was to be done for it.

With the hash, what is written and the mail the same for a known and an unknown address, a few reads
are the difference that is left.
"""

import asyncio
import time

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from apps.middleware import AsyncMiddleware

_EVENED = frozenset({"account_signup"})


def wait_s(took_s: float, step_s: float) -> float:
    """Return how long to wait so that an answer comes at a whole number of steps."""
    return -took_s % step_s if step_s else 0.0


class EvenTimeMiddleware(AsyncMiddleware):
    """Waits, holding no thread."""

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer at once, or a little later."""
        began = time.monotonic()
        response = await self.get_response(request)
        match = request.resolver_match
        if request.method == "POST" and match is not None and match.url_name in _EVENED:
            await asyncio.sleep(wait_s(time.monotonic() - began, settings.ACCOUNTS_EVEN_STEP_S))
        return response
