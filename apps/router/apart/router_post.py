"""A router process's post: it reads all gateways' letters, and writes only while it is the active.

Every write compares the lease first, in the same step: a router that was stopped and goes on later
writes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis

from apps.router.apart import keys
from apps.router.apart.keys import INBOX_KEPT_S, INBOX_MOST
from apps.router.apart.letter_codec import TOLD
from apps.router.apart.redis_server import server_check
from apps.router.core.cluster import ROUTER
from apps.router.core.events import Event
from apps.router.core.letters import Letter

READ_COUNT: Final = 512
VIEW_KEPT_MS: Final = 15_000

# KEYS: lease, events, snapshot, view, the view's version, inboxes. ARGV: the lease's mark, token,
# letters of the router's own ("": none), snapshot, view, its version, how long a view is of use in
# ms, the id that older events may go before, the most that an inbox holds, for how many s, the
# name of the source, then for each inbox a first number and letters. Returns 0 when the lease is
# not the writer's. An inbox ends by itself unless its gateway renews it. It writes also when Redis
# is full: it alone makes room.
_WRITE: Final = """#!lua flags=allow-oom
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
if ARGV[3] ~= '' then
  redis.call('XADD', KEYS[2], '*', 's', ARGV[11], 't', ARGV[2], 'n', '0', 'b', ARGV[3])
end
for i = 6, #KEYS do
  local at = 12 + 2 * (i - 6)
  redis.call('XADD', KEYS[i], 'MAXLEN', '~', ARGV[9], '*',
    's', ARGV[11], 't', ARGV[2], 'n', ARGV[at], 'b', ARGV[at + 1])
  if redis.call('TTL', KEYS[i]) == -1 then
    redis.call('EXPIRE', KEYS[i], ARGV[10])
  end
end
if ARGV[4] ~= '' then
  redis.call('SET', KEYS[3], ARGV[4])
end
if ARGV[5] ~= '' then
  redis.call('SET', KEYS[4], ARGV[5], 'PX', ARGV[7])
end
if ARGV[6] ~= '' then
  redis.call('SET', KEYS[5], ARGV[6], 'PX', ARGV[7])
end
if ARGV[8] ~= '' then
  redis.call('XTRIM', KEYS[2], 'MINID', ARGV[8])
end
return 1
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """Letters as they stand in the stream. `source`: a gateway, or "router". None: not understood.

    `token` is the router's; a gateway's is that of the router that it heard last, 0: of none.
    """

    id: str
    source: str
    token: int
    first: int
    letters: list[Event | Letter | None]

    @property
    def at_ms(self) -> int:
        """When it was written, by Redis' clock."""
        return int(self.id.partition("-")[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """What the active router writes in one step.

    effects: for each gateway a first number and the letters. own: letters into the stream, ticks
    above all. trim_before: events with lower ids are needed no more.
    """

    effects: Sequence[tuple[str, int, bytes]] = ()
    own: bytes = b""
    snapshot: bytes = b""
    view: bytes = b""
    view_version: str = ""
    trim_before: str = ""


class RouterPost:
    """Reads and writes for one router. All methods raise redis' errors."""

    def __init__(self, redis: "Redis[bytes]") -> None:
        self._redis: Any = redis

    async def check_server(self) -> None:
        """See that Redis is one to work with. Raises RedisTooOldError."""
        await server_check(self._redis)

    async def read(self, after_id: str, *, block_ms: int) -> list[Entry]:
        """Return the entries after an id, waiting for some if there are none."""
        found = await self._redis.xread({keys.EVENTS: after_id}, count=READ_COUNT, block=block_ms)
        return [_entry(row_id, fields) for _, rows in found or () for row_id, fields in rows]

    async def first_id(self) -> str | None:
        """Return the id of the oldest entry; None when there is none."""
        rows = await self._redis.xrange(keys.EVENTS, count=1)
        return rows[0][0].decode() if rows else None

    async def snapshot(self) -> bytes | None:
        """Return the last snapshot that was written."""
        data: bytes | None = await self._redis.get(keys.SNAPSHOT)
        return data

    async def write(self, mark: str, token: int, writing: Writing) -> bool:
        """Write all of it, or nothing: False when the lease is not the writer's."""
        names = [keys.LEASE, keys.EVENTS, keys.SNAPSHOT, keys.VIEW, keys.VIEW_VERSION]
        names += [keys.inbox(gateway) for gateway, _, _ in writing.effects]
        arguments: list[str | int | bytes] = [
            *(mark, token, writing.own, writing.snapshot, writing.view, writing.view_version),
            *(VIEW_KEPT_MS, writing.trim_before, INBOX_MOST, INBOX_KEPT_S, ROUTER),
        ]
        for _, first, payload in writing.effects:
            arguments += (first, payload)
        return bool(await self._redis.eval(_WRITE, len(names), *names, *arguments))


def _entry(row_id: bytes, fields: dict[bytes, bytes]) -> Entry:
    return Entry(
        row_id.decode(),
        fields[b"s"].decode(),
        int(fields.get(b"t", b"0")),
        int(fields[b"n"]),
        TOLD.decode(fields[b"b"]),
    )
