"""Visitors as the router's port asks for them: a signed cookie, an address, and what is left."""

import asyncio
import contextlib
import logging
import math
import secrets
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from apps.demo.conf import CONF, Limit, Rules, rules_read
from apps.demo.errors import LedgerUnreachableError
from apps.demo.ledger import Ledger, Refused, Standing
from apps.demo.memory_ledger import MemoryLedger
from apps.demo.proofs import challenge_make, proof_checked
from apps.demo.redis_ledger import RedisLedger
from apps.networks import network_of
from apps.router.errors import ErrorCode, JobError, JobRefusedError
from apps.router.ports import Allowance, VisitorBounds, VisitorTicket

logger = logging.getLogger(__name__)


class CookieVisitorGate:
    """Knows a visitor by the cookie, and by the address those who throw the cookie away."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._rules = rules_read()
        self._ledger = ledger_of(self._rules)

    @property
    def bounds(self) -> VisitorBounds:
        """How much each question and each answer may be."""
        return VisitorBounds(
            question_chars=settings.DEMO_QUESTION_CHARS,
            prompt_bytes=CONF.prompt_bytes,
            answer_tokens=settings.DEMO_ANSWER_TOKENS,
        )

    def visitor_key(self, request: HttpRequest) -> str | None:
        """Return the visitor's key from a request's signed cookie, or None for a new one."""
        key: Any = request.get_signed_cookie(
            cookie_name(),
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
            cookie_name(),
            visitor_key,
            salt=CONF.cookie_salt,
            max_age=CONF.cookie_max_age_s,
            httponly=True,
            samesite="Lax",
            secure=settings.SESSION_COOKIE_SECURE,
        )

    async def allowance(self, visitor_key: str, address: str) -> Allowance | None:
        """Return what is left, taking nothing; None when that cannot be told now."""
        try:
            found = await self._ledger.standings(
                visitor_key=visitor_key, network=network_of(address), now=self._clock()
            )
        except LedgerUnreachableError:
            logger.exception("What a visitor has left could not be looked up.")
            return None
        return allowance_of(self._rules, visitor=found.visitor, network=found.network)

    async def take(self, visitor_key: str, address: str, *, proof: str = "") -> VisitorTicket:
        """Take one answer, atomically. Raises JobRefusedError."""
        ticket = VisitorTicket(
            id=secrets.token_urlsafe(CONF.key_bytes),
            visitor_key=visitor_key,
            network=network_of(address),
            taken_at=self._clock(),
        )
        try:
            refused = await self._ledger.take(ticket, proof=proof_checked(proof))
        except LedgerUnreachableError as error:
            logger.exception("No ticket could be taken for a visitor.")
            words = "The site cannot count visitors' answers right now."
            raise JobRefusedError(JobError(ErrorCode.ROUTER_AWAY, words, 5)) from error
        if refused is not None:
            raise JobRefusedError(await self._error(refused, visitor_key, address))
        return ticket

    @contextlib.asynccontextmanager
    async def held(self, ticket: VisitorTicket) -> AsyncIterator[None]:
        """Keep a ticket while its answer runs; one that nobody holds is void within a minute."""
        renewing = asyncio.create_task(self._renew(ticket))
        try:
            yield
        finally:
            renewing.cancel()

    async def end(self, ticket: VisitorTicket, *, is_used: bool) -> None:
        """Let the next question in; unless used, give the answer back to where it was taken."""
        await self._ledger.end(ticket, is_used=is_used, now=self._clock())

    def challenge(self) -> dict[str, Any]:
        """Make a challenge for a visitor's browser to solve."""
        return challenge_make()

    async def _renew(self, ticket: VisitorTicket) -> None:
        while True:
            await asyncio.sleep(CONF.renew_every_s)
            try:
                await self._ledger.renew(ticket, now=self._clock())
            except Exception:  # the rim of a task: the next time may go better
                logger.exception("A visitor's ticket could not be renewed.")

    async def _error(self, refused: Refused, visitor_key: str, address: str) -> JobError:
        if refused in (Refused.VISITOR_LIMIT, Refused.NETWORK_LIMIT):
            allowance = await self.allowance(visitor_key, address)
            back_at = allowance.comes_back_at if allowance is not None else None
            retry_after_s = max(1, math.ceil((back_at or self._clock()) - self._clock()))
            return JobError(ErrorCode.DEMO_LIMIT_REACHED, _MESSAGES[refused], retry_after_s)
        if refused is Refused.CEILING:
            retry_after_s = self._rules.everybody.window_s
            return JobError(ErrorCode.DEMO_BUSY, _MESSAGES[refused], retry_after_s)
        if refused is Refused.NETWORK_RUNNING:
            return JobError(ErrorCode.DEMO_BUSY, _MESSAGES[refused], CONF.network_retry_s)
        if refused is Refused.VISITOR_RUNNING:
            return JobError(ErrorCode.ANSWER_RUNNING, _MESSAGES[refused])
        return JobError(ErrorCode.PROOF_NEEDED, _MESSAGES[refused])


def cookie_name() -> str:
    """Name the visitor's cookie. `__Host-` makes browsers refuse one set by a sibling site."""
    return f"__Host-{CONF.cookie_name}" if settings.SESSION_COOKIE_SECURE else CONF.cookie_name


def ledger_of(rules: Rules) -> Ledger:
    """Return the ledger of this site: in Redis where there is one."""
    if settings.REDIS_URL:
        return RedisLedger(settings.REDIS_URL, rules)
    return MemoryLedger(rules)


def allowance_of(rules: Rules, *, visitor: Standing, network: Standing) -> Allowance:
    """Return what is left by the limit that is nearer.

    It is one more when each limit that is as near has given one back.
    """
    own, shared = _left(rules.per_visitor, visitor), _left(rules.per_network, network)
    is_shared = shared < own
    nearest = [
        standing.first_back_at
        for left, standing in ((own, visitor), (shared, network))
        if left == min(own, shared) and standing.first_back_at is not None
    ]
    limit = rules.per_network if is_shared else rules.per_visitor
    return Allowance(
        limit=limit.most,
        left=min(own, shared),
        window_s=limit.window_s,
        comes_back_at=max(nearest, default=None),
        is_shared=is_shared,
    )


def _left(limit: Limit, standing: Standing) -> int:
    return max(0, limit.most - standing.taken)


_MESSAGES = {
    Refused.VISITOR_LIMIT: "You have used your free answers.",
    Refused.NETWORK_LIMIT: "Your network has used its free answers.",
    Refused.VISITOR_RUNNING: "Your last question is still being answered.",
    Refused.NETWORK_RUNNING: "Others of your network are being answered right now.",
    Refused.CEILING: "More people are trying this out than the site can answer right now.",
    Refused.PROOF_USED: "This proof of work has been used already.",
    Refused.PROOF_NEEDED: "A proof of work is needed first.",
}
