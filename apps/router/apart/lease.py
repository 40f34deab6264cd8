"""Who is the active router: a lease that ends by itself, with a token that only ever grows."""

import time
from typing import Any, Final

from redis.asyncio import Redis

from apps.router.apart import keys

# KEYS: lease, fence. ARGV: name, now in ms, how long it lasts in ms. Nil when another has it. The
# token is no less than the time, so that it grows even when Redis has lost its data. It is taken
# also when Redis is full: whoever has it makes room.
_TAKE: Final = """#!lua flags=allow-oom
if redis.call('EXISTS', KEYS[1]) == 1 then
  return false
end
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
local token = string.format('%.0f', math.max(last + 1, tonumber(ARGV[2])))
redis.call('SET', KEYS[2], token)
redis.call('SET', KEYS[1], token .. ' ' .. ARGV[1], 'PX', ARGV[3])
return token
"""
# KEYS: lease. ARGV: whose, how long in ms.
_RENEW: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
_GIVE_UP: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
"""


class Lease:
    """One router's view of the lease. All methods raise redis' errors."""

    def __init__(self, redis: "Redis[bytes]", *, name: str, lasts_ms: int) -> None:
        self._redis: Any = redis
        self._name = name
        self._lasts_ms = lasts_ms

    def mark(self, token: int) -> str:
        """Return what stands in Redis while this router holds the lease by this token."""
        return f"{token} {self._name}"

    async def take(self) -> int | None:
        """Become the active router if nobody is; return the token."""
        now_ms = time.time_ns() // 1_000_000
        arguments = (self._name, now_ms, self._lasts_ms)
        token = await self._redis.eval(_TAKE, 2, keys.LEASE, keys.FENCE, *arguments)
        return None if token is None else int(token)

    async def renew(self, token: int) -> bool:
        """Stay the active router; False when another has taken over."""
        return bool(await self._redis.eval(_RENEW, 1, keys.LEASE, self.mark(token), self._lasts_ms))

    async def give_up(self, token: int) -> None:
        """Let another take over at once."""
        await self._redis.eval(_GIVE_UP, 1, keys.LEASE, self.mark(token))

    async def holder(self) -> str | None:
        """Return the name of the active router; None when there is none."""
        mark = await self._redis.get(keys.LEASE)
        return None if mark is None else mark.decode().partition(" ")[2]
