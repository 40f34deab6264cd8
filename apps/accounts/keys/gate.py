"""Fills the router's `caller_gate`: whose API key a token is, and what keys use.

A key that was read within the last second is not read again, so a request costs no query, and
revoking takes effect within that second in every process. What requests use is added up in memory
and written in one go; a process that is killed loses what it counted since the last writing.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from channels.db import database_sync_to_async
from django.utils import timezone

from apps.accounts.conf import CONF
from apps.accounts.keys import selectors, services
from apps.accounts.keys.models import ApiKey
from apps.accounts.keys.services import KeyUse
from apps.accounts.usage.buffer import UsageBuffer, UsageRow
from apps.accounts.usage.services import usage_add
from apps.router.ports import Caller, CallRecord
from motherfluxer_wire.tokens import API_KEY_PREFIX, Token, presented_token

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Read:
    """A key as it stood in the database. `at`: when the reading began, by the gate's clock."""

    key: ApiKey
    caller: Caller
    at: float


class ApiKeyGate:
    """Identifies callers by API key. Everything in it happens in one event loop."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = timezone.now,
    ) -> None:
        self._clock = clock
        self._now = now
        self._reads: dict[str, _Read] = {}
        self._uses: dict[int, KeyUse] = {}
        self._usage = UsageBuffer(most_rows=CONF.usage_waiting_count)
        self._is_losing = False
        self._writing: asyncio.Task[None] | None = None

    async def identify(self, token: str | None, *, address: str = "") -> Caller | None:
        """Return the key's owner, or None for an unknown, revoked or expired key."""
        presented = presented_token(API_KEY_PREFIX, token or "")
        # What is refused costs a query each time, so that no refusal is told by how long it took.
        read = self._remembered(presented) or await self._read(presented)
        if read is None:
            return None
        self._note_use(read.key, address)
        return read.caller

    def record(self, call: CallRecord) -> None:
        """Count an answered request, by the day (UTC).

        Instances say how many tokens it took; what none has is cut, so that no sum overflows.
        """
        has_room = self._usage.add(
            UsageRow(
                key_id=call.key_id,
                day=self._now().astimezone(UTC).date(),
                model_name=call.model_name[: CONF.usage_model_name_chars],
                requests=1,
                prompt_tokens=min(call.prompt_tokens, CONF.usage_tokens_of_call_count),
                completion_tokens=min(call.completion_tokens, CONF.usage_tokens_of_call_count),
            )
        )
        if not has_room and not self._is_losing:
            log.error("what keys used can't be written for too long; some of it is lost")
        self._is_losing = not has_room

    async def flush(self) -> None:
        """Write down all that was recorded. What can't be written now is kept for the next time."""
        if self._writing is not None and not self._writing.done():
            await asyncio.wait({self._writing})
        if self._uses or self._usage:
            # A thread that writes can't be stopped: who is cancelled leaves it be.
            self._writing = asyncio.create_task(self._write())
            await asyncio.shield(self._writing)

    def _remembered(self, presented: Token) -> _Read | None:
        """Return the key that this token opens, if it was read just now."""
        read = self._reads.get(presented.id)
        if read is None or self._clock() - read.at >= CONF.api_key_read_every_s:
            return None
        return read if read.key.opens_for(presented, self._now()) else None

    async def _read(self, presented: Token) -> _Read | None:
        """Read the key anew and remember it; return it if this token opens it."""
        began_at = self._clock()
        find = database_sync_to_async(_find_key, thread_sensitive=False)
        key: ApiKey | None = await find(presented.id)
        self._reads.pop(presented.id, None)
        if key is None:
            presented.matches(None)
            return None
        if len(self._reads) >= CONF.api_keys_read_count:
            del self._reads[next(iter(self._reads))]
        read = self._reads[presented.id] = _Read(key, _caller_of(key), began_at)
        return read if key.opens_for(presented, self._now()) else None

    def _note_use(self, key: ApiKey, address: str) -> None:
        """Remember when and from where; rarely, since that is written."""
        now, last = self._now(), key.last_used_at
        if last is None or now - last >= timedelta(seconds=CONF.api_key_used_every_s):
            self._uses[key.pk] = KeyUse(key_pk=key.pk, at=now, address=address)

    async def _write(self) -> None:
        rows, uses = self._usage.take(), self._uses
        self._uses = {}
        try:
            await database_sync_to_async(_write_down, thread_sensitive=False)(rows, uses)
        except Exception:
            self._usage.put_back(rows)
            self._uses = {**uses, **self._uses}
            raise


def _find_key(token_id: str) -> ApiKey | None:
    return selectors.api_key_of_token(token_id=token_id)


def _write_down(rows: list[UsageRow], uses: dict[int, KeyUse]) -> None:
    usage_add(rows=rows)
    services.api_keys_note_use(uses=uses.values())


def _caller_of(key: ApiKey) -> Caller:
    names = key.allowed_models
    return Caller(
        requester=f"user:{key.user_id}",
        user_id=key.user_id,
        key_id=key.token_id,
        allowed_models=None if names is None else frozenset(names),
        requests_per_minute=key.requests_per_minute,
        may_manage=key.may_manage,
    )
