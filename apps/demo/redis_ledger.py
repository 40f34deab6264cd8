"""The ledger of a site that is several processes: sorted sets in Redis, changed by scripts.

Each key is a sorted set of tickets, scored by when the entry ends. A script runs alone in Redis, so
what it looks at and what it writes belong together, whichever processes ask meanwhile.
"""

from typing import Any, Final

from asgiref.sync import sync_to_async

from apps.demo.conf import CONF, Rules
from apps.demo.errors import LedgerUnreachableError
from apps.demo.ledger import (
    Proof,
    Refused,
    Standing,
    Standings,
    all_entries,
    counted_entries,
    counted_keys,
    running_keys,
)
from apps.redis_clients import REDIS_AWAY, redis_client
from apps.router.ports import VisitorTicket

# The braces keep all keys on one node of a cluster, as scripts need it.
_PREFIX: Final = "{mf-demo}:"

# What ended is dropped; a ticket whose lease ended is taken back from where it was counted.
_DROP_ENDED: Final = """
local function drop_ended(running, counted, now)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', running, '-inf', now)) do
    redis.call('ZREM', counted, id)
  end
  redis.call('ZREMRANGEBYSCORE', running, '-inf', now)
  redis.call('ZREMRANGEBYSCORE', counted, '-inf', now)
end
"""

# KEYS: as `all_entries`. ARGV: now, ticket, proof after (-1: never), then of each key: how many may
# stand there, until when, and for how many milliseconds the key is of use.
_TAKE: Final = (
    _DROP_ENDED
    + """
local now, ticket, proof_after = ARGV[1], ARGV[2], tonumber(ARGV[3])
drop_ended(KEYS[3], KEYS[1], now)
drop_ended(KEYS[4], KEYS[2], now)
for number = 5, #KEYS do redis.call('ZREMRANGEBYSCORE', KEYS[number], '-inf', now) end
for number, key in ipairs(KEYS) do
  if redis.call('ZCARD', key) >= tonumber(ARGV[3 * number + 1]) then return number end
end
if proof_after >= 0 then
  local most = math.max(redis.call('ZCARD', KEYS[1]), redis.call('ZCARD', KEYS[2]))
  if most >= proof_after then return 7 end
end
for number, key in ipairs(KEYS) do
  redis.call('ZADD', key, ARGV[3 * number + 2], ticket)
  redis.call('PEXPIRE', key, ARGV[3 * number + 3])
end
return 0
"""
)

# KEYS: what runs. ARGV: now, ticket, until.
_RENEW: Final = """
for _, key in ipairs(KEYS) do
  local ends_at = redis.call('ZSCORE', key, ARGV[2])
  if ends_at and tonumber(ends_at) > tonumber(ARGV[1]) then
    redis.call('ZADD', key, ARGV[3], ARGV[2])
  end
end
"""

# KEYS: what runs of the visitor, of the network, then what is counted. ARGV: now, ticket, whether
# it was used, then of each counted key: until when, and for how many milliseconds it is of use.
_END: Final = (
    _DROP_ENDED
    + """
drop_ended(KEYS[1], KEYS[3], ARGV[1])
drop_ended(KEYS[2], KEYS[4], ARGV[1])
local now, ticket, is_used = tonumber(ARGV[1]), ARGV[2], ARGV[3] == '1'
local was_running = redis.call('ZREM', KEYS[1], ticket) + redis.call('ZREM', KEYS[2], ticket)
for number = 3, #KEYS do
  local ends_at = ARGV[2 * number - 2]
  if not is_used and was_running > 0 then
    redis.call('ZREM', KEYS[number], ticket)
  elseif is_used and tonumber(ends_at) > now then
    redis.call('ZADD', KEYS[number], ends_at, ticket)
    redis.call('PEXPIRE', KEYS[number], ARGV[2 * number - 1])
  end
end
"""
)

# KEYS: counted of the visitor, of the network, then what runs of them. ARGV: now.
_STANDINGS: Final = (
    _DROP_ENDED
    + """
local found = {}
for number = 1, 2 do
  drop_ended(KEYS[number + 2], KEYS[number], ARGV[1])
  local first = redis.call('ZRANGE', KEYS[number], 0, 0, 'WITHSCORES')
  table.insert(found, redis.call('ZCARD', KEYS[number]))
  table.insert(found, first[2] or '')
end
return found
"""
)


class RedisLedger:
    """Keeps the entries in Redis."""

    def __init__(self, url: str, rules: Rules) -> None:
        self._rules = rules
        client = redis_client(url)
        self._take, self._renew, self._end, self._standings = (
            _script(client, text) for text in (_TAKE, _RENEW, _END, _STANDINGS)
        )

    async def take(self, ticket: VisitorTicket, *, proof: Proof | None = None) -> Refused | None:
        """Write a ticket down everywhere, or nowhere and say why."""
        entries = all_entries(ticket, self._rules, proof)
        after = -1 if proof or self._rules.proof_after is None else self._rules.proof_after
        figures: list[str | float] = [ticket.taken_at, ticket.id, after]
        for entry in entries:
            figures += (entry.most, entry.until, int(entry.kept_s * 1000))
        refused = await self._take([entry.key for entry in entries], figures)
        return Refused(refused) if refused else None

    async def renew(self, ticket: VisitorTicket, *, now: float) -> None:
        """Say that a ticket's answer still runs."""
        keys = running_keys(ticket.visitor_key, ticket.network)
        await self._renew(keys, [now, ticket.id, now + CONF.lease_s])

    async def end(self, ticket: VisitorTicket, *, is_used: bool, now: float) -> None:
        """Note that an answer runs no more; unless used, take the ticket back. Once is enough."""
        counted = counted_entries(ticket, self._rules)
        figures: list[str | float] = [now, ticket.id, int(is_used)]
        for entry in counted:
            figures += (entry.until, int(entry.kept_s * 1000))
        keys = running_keys(ticket.visitor_key, ticket.network)
        await self._end([*keys, *(entry.key for entry in counted)], figures)

    async def standings(self, *, visitor_key: str, network: str, now: float) -> Standings:
        """Return how it stands, changing nothing."""
        counted = counted_keys(visitor_key, network)[:2]
        keys = [*counted, *running_keys(visitor_key, network)]
        found = await self._standings(keys, [now])
        return Standings(_standing(*found[:2]), _standing(*found[2:]))


def _script(client: Any, text: str) -> Any:
    """Return an asynchronous function of keys and arguments that runs a script in Redis.

    It raises LedgerUnreachableError.
    """
    script = client.register_script(text)

    def call(keys: Any, arguments: Any) -> Any:
        try:
            return script(keys=[_PREFIX + key for key in keys], args=arguments)
        except REDIS_AWAY as error:
            raise LedgerUnreachableError from error

    return sync_to_async(call, thread_sensitive=False)


def _standing(taken: int, first_back_at: str) -> Standing:
    return Standing(taken, float(first_back_at) if first_back_at else None)
