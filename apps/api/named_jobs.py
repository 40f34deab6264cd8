"""Which job answers a named request, over all web processes: in Redis, by API key and name.

Whoever comes first claims the name and hands the job in; whoever comes later follows that job.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.conf import settings

from apps.api.conf import CONF
from apps.redis_clients import redis_client

_NAMED: Final = "mf:api:named:"
_READ: Final = "mf:api:read:"
_PENDING: Final = "-"

# KEYS: a name. ARGV: what claims it, what may be overwritten, for how many milliseconds.
_CLAIM: Final = """
local found = redis.call('GET', KEYS[1])
if found and found ~= ARGV[2] then return found end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return ''
"""
# KEYS: a name. ARGV: what claimed it, what is written instead ('': nothing), milliseconds.
_SETTLE: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return end
if ARGV[2] == '' then redis.call('DEL', KEYS[1])
else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands under a name: which request, its job or who hands it in now, and since when."""

    digest: str
    job_id: str
    created: int

    @property
    def is_pending(self) -> bool:
        """Whether the job is being handed in."""
        return self.job_id.startswith(_PENDING)

    @property
    def text(self) -> str:
        """The entry as it is written down."""
        return f"{self.digest} {self.job_id} {self.created}"

    @classmethod
    def read(cls, text: str) -> "Entry":
        """Read what was written."""
        digest, job_id, created = text.split(" ")
        return cls(digest, job_id, int(created))


class NamedJobs:
    """The names, in Redis. Its methods raise REDIS_AWAY."""

    def __init__(self, url: str) -> None:
        client = redis_client(url)
        self._claim: Any = sync_to_async(client.register_script(_CLAIM), thread_sensitive=False)
        self._settle: Any = sync_to_async(client.register_script(_SETTLE), thread_sensitive=False)
        self._set = sync_to_async(client.set, thread_sensitive=False)
        self._exists = sync_to_async(client.exists, thread_sensitive=False)

    async def find(
        self, key_id: str, name: str, digest: bytes, submit: Callable[[], Awaitable[str]]
    ) -> Entry:
        """Return the entry of a name; where there is none, hand a job in by `submit`."""
        return await self._found_or_made(_place(key_id, name), digest, submit, stale="")

    async def renew(
        self,
        key_id: str,
        name: str,
        digest: bytes,
        submit: Callable[[], Awaitable[str]],
        *,
        old: Entry,
    ) -> Entry:
        """Return the entry that came after an old one, whose answer can't be had any more."""
        return await self._found_or_made(_place(key_id, name), digest, submit, stale=old.text)

    async def note_reader(self, job_id: str) -> None:
        """Say that somebody reads a job's answer, for a little while."""
        await self._set(_READ + job_id, "1", px=int(CONF.reader_noted_s * 1000))

    async def is_read(self, job_id: str) -> bool:
        """Whether somebody reads a job's answer at another process."""
        return bool(await self._exists(_READ + job_id))

    async def _found_or_made(
        self, place: str, digest: bytes, submit: Callable[[], Awaitable[str]], *, stale: str
    ) -> Entry:
        claim = Entry(digest.hex(), _PENDING + secrets.token_hex(8), int(time.time()))
        pending_ms = int(CONF.handed_in_within_s * 1000)
        while text := await self._claim([place], [claim.text, stale, pending_ms]):
            found = Entry.read(text)
            if not found.is_pending or found.digest != claim.digest:
                return found
            await asyncio.sleep(CONF.handed_in_every_s)
        made = ""
        try:
            made = Entry(claim.digest, await submit(), claim.created).text
        finally:
            await self._settle([place], [claim.text, made, int(CONF.answer_kept_s * 1000)])
        return Entry.read(made)


def _place(key_id: str, name: str) -> str:
    return f"{_NAMED}{key_id}:{sha256(name.encode()).hexdigest()}"


@cache
def _named_jobs_at(url: str) -> NamedJobs:
    return NamedJobs(url)


def named_jobs() -> NamedJobs | None:
    """Return the names that all processes share; None where there is one process."""
    is_apart = settings.ROUTER_APART and settings.REDIS_URL
    return _named_jobs_at(settings.REDIS_URL) if is_apart else None
