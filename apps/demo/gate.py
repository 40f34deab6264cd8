"""Visitors as the router's port asks for them: a signed cookie and a number of answers."""

import secrets
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from limits import parse

from apps.demo.conf import CONF
from apps.demo.counter import AnswerCounter
from apps.router.ports import Allowance


class CookieVisitorGate:
    """Knows a visitor by the cookie; `address` will bound those who throw it away."""

    def __init__(self) -> None:
        self._counter = AnswerCounter(parse(settings.DEMO_LIMIT), settings.REDIS_URL)

    def visitor_key(self, request: HttpRequest) -> str | None:
        """Return the visitor's key from a request's signed cookie, or None for a new one."""
        key: Any = request.get_signed_cookie(
            CONF.cookie_name,
            default=None,
            salt=CONF.cookie_salt,
            max_age=CONF.cookie_max_age_s,
        )
        return key if isinstance(key, str) else None

    def new_visitor_key(self) -> str:
        """Make a key for a visitor who has none."""
        return secrets.token_urlsafe(CONF.key_bytes)

    def remember(self, response: HttpResponseBase, visitor_key: str) -> None:
        """Set the visitor's signed cookie on a response."""
        response.set_signed_cookie(
            CONF.cookie_name,
            visitor_key,
            salt=CONF.cookie_salt,
            max_age=CONF.cookie_max_age_s,
            httponly=True,
            samesite="Lax",
            secure=settings.SESSION_COOKIE_SECURE,
        )

    async def allowance(self, visitor_key: str, address: str) -> Allowance:
        """Return what is left, taking nothing."""
        return Allowance(
            limit=self._counter.limit.amount,
            left=await self._counter.left(visitor_key),
            resets_at=await self._counter.resets_at(visitor_key),
        )

    async def take(self, visitor_key: str, address: str) -> Allowance | None:
        """Take one answer, atomically. None: nothing was left."""
        if not await self._counter.take(visitor_key):
            return None
        return await self.allowance(visitor_key, address)

    async def give_back(self, visitor_key: str, address: str) -> None:
        """Return what was taken for an answer that failed or never began."""
        await self._counter.give_back(visitor_key)
