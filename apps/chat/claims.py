"""The right to have an answer under way in a conversation, over all processes of the site."""

import asyncio
import contextlib
import logging
import secrets
import uuid
from collections.abc import AsyncIterator
from functools import cache
from typing import Any, Final, Protocol

from asgiref.sync import sync_to_async
from django.conf import settings

from apps.chat.conf import CONF
from apps.redis_clients import REDIS_AWAY, redis_client
from apps.router.errors import ErrorCode, JobError, JobRefusedError

logger = logging.getLogger(__name__)

_PREFIX: Final = "mf:chat:claim:"

# KEYS: claims. ARGV: each one's holder, then for how many milliseconds. What Redis has lost is
# written anew; what somebody else holds by now stays theirs.
_RENEW: Final = """
local ms = ARGV[#ARGV]
for number, key in ipairs(KEYS) do
  local holder = redis.call('GET', key)
  if not holder or holder == ARGV[number] then redis.call('SET', key, ARGV[number], 'PX', ms) end
end
"""
_RELEASE: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
"""


class Claims(Protocol):
    """Who has an answer under way, by conversation. Its methods raise REDIS_AWAY."""

    async def take(self, conversation: str, holder: str) -> bool:
        """Take a claim, unless somebody has it."""
        ...

    async def overtake(self, conversation: str, holder: str) -> None:
        """Take a claim from whoever has it."""
        ...

    async def release(self, conversation: str, holder: str) -> None:
        """Give a claim up, if it is this holder's."""
        ...

    def leave(self, conversation: str, holder: str) -> None:
        """Keep a claim up no longer: it is somebody else's, or void soon."""
        ...

    async def is_held(self, conversation: str) -> bool:
        """Whether anybody has it."""
        ...


class MemoryClaims:
    """The claims of a site that is one process."""

    def __init__(self) -> None:
        self._holders: dict[str, str] = {}

    async def take(self, conversation: str, holder: str) -> bool:
        """Take a claim, unless somebody has it."""
        return self._holders.setdefault(conversation, holder) == holder

    async def overtake(self, conversation: str, holder: str) -> None:
        """Take a claim from whoever has it."""
        self._holders[conversation] = holder

    async def release(self, conversation: str, holder: str) -> None:
        """Give a claim up, if it is this holder's."""
        self.leave(conversation, holder)

    def leave(self, conversation: str, holder: str) -> None:
        """Keep a claim up no longer."""
        if self._holders.get(conversation) == holder:
            del self._holders[conversation]

    async def is_held(self, conversation: str) -> bool:
        """Whether anybody has it."""
        return conversation in self._holders


class RedisClaims:
    """The claims of all processes, in Redis; those of a process that dies end soon."""

    def __init__(self, url: str) -> None:
        client = redis_client(url)
        self._set = sync_to_async(client.set, thread_sensitive=False)
        self._exists = sync_to_async(client.exists, thread_sensitive=False)
        self._renew: Any = sync_to_async(client.register_script(_RENEW), thread_sensitive=False)
        self._release: Any = sync_to_async(client.register_script(_RELEASE), thread_sensitive=False)
        self._held: dict[str, str] = {}
        self._renewing: asyncio.Task[None] | None = None

    async def take(self, conversation: str, holder: str) -> bool:
        """Take a claim, unless somebody has it."""
        key, lasts_ms = _PREFIX + conversation, int(CONF.claim_s * 1000)
        is_mine = bool(await self._set(key, holder, px=lasts_ms, nx=True))
        if is_mine:
            self._keep_up(conversation, holder)
        return is_mine

    async def overtake(self, conversation: str, holder: str) -> None:
        """Take a claim from whoever has it; what is not written now is with the next renewal."""
        self._keep_up(conversation, holder)
        await self._set(_PREFIX + conversation, holder, px=int(CONF.claim_s * 1000))

    async def release(self, conversation: str, holder: str) -> None:
        """Give a claim up, if it is this holder's."""
        self.leave(conversation, holder)
        await self._release([_PREFIX + conversation], [holder])

    def leave(self, conversation: str, holder: str) -> None:
        """Keep a claim up no longer."""
        if self._held.get(conversation) == holder:
            del self._held[conversation]

    async def is_held(self, conversation: str) -> bool:
        """Whether anybody has it."""
        return bool(await self._exists(_PREFIX + conversation))

    def _keep_up(self, conversation: str, holder: str) -> None:
        self._held[conversation] = holder
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.get_running_loop().create_task(self._renew_all())

    async def _renew_all(self) -> None:
        """Renew all claims of this process in one call, while it has any."""
        while self._held:
            await asyncio.sleep(CONF.claim_renew_s)
            held = dict(self._held)
            keys = [_PREFIX + conversation for conversation in held]
            try:
                await self._renew(keys, [*held.values(), int(CONF.claim_s * 1000)])
            except REDIS_AWAY as error:
                logger.warning("claims could not be renewed: %s", error)


class Claim:
    """A claim and its holder. `is_handed_on`: somebody else than its taker releases it."""

    def __init__(self, conversation_id: uuid.UUID) -> None:
        self.is_handed_on = False
        self._conversation = str(conversation_id)
        self._holder = secrets.token_hex(8)

    async def take(self) -> bool:
        """Take it, unless somebody has it."""
        return await claims().take(self._conversation, self._holder)

    async def overtake(self) -> None:
        """Take it from whoever has it; a Redis that is away gets it with the next renewal."""
        with contextlib.suppress(*REDIS_AWAY):
            await claims().overtake(self._conversation, self._holder)

    async def release(self) -> None:
        """Let the next question in; a Redis that is away will do so by itself."""
        with contextlib.suppress(*REDIS_AWAY):
            await claims().release(self._conversation, self._holder)

    def leave(self) -> None:
        """Let whoever goes on with the answer have it."""
        claims().leave(self._conversation, self._holder)


@cache
def _claims_at(redis_url: str | None) -> Claims:
    return RedisClaims(redis_url) if redis_url else MemoryClaims()


def claims() -> Claims:
    """Return the claims that this installation's processes share."""
    return _claims_at(settings.REDIS_URL if settings.ROUTER_APART else None)


@contextlib.asynccontextmanager
async def claimed(conversation_id: uuid.UUID) -> AsyncIterator[Claim]:
    """Claim a conversation, and release it unless the claim was handed on meanwhile.

    Raises JobRefusedError when it is held, since an answer still runs there, and when nobody knows.
    """
    claim = Claim(conversation_id)
    try:
        is_mine = await claim.take()
    except REDIS_AWAY as error:
        message = "The site cannot be sure for a moment that no other answer runs."
        raise JobRefusedError(JobError(ErrorCode.ROUTER_AWAY, message, 5)) from error
    if not is_mine:
        message = "Your last question is still being answered."
        raise JobRefusedError(JobError(ErrorCode.ANSWER_RUNNING, message))
    try:
        yield claim
    finally:
        if not claim.is_handed_on:
            await claim.release()
