"""What web processes see of the router: its view, joined with what gateways know of their links."""

import asyncio
import contextlib
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import msgspec
from redis.asyncio import Redis

from apps.router.apart import keys
from apps.router.apart.connection import AWAY, is_cancelled, redis_connected
from apps.router.apart.written_view import WrittenView, written_view_decode
from apps.router.core.letters import gateway_of
from apps.router.router_view import NO_VIEW, LinkDetail, RouterView

if TYPE_CHECKING:
    from redis.asyncio.client import Pipeline

log = logging.getLogger(__name__)

POLL_S: Final = 0.25
DETAILS_KEPT_S: Final = 60
DETAILS_RENEWED_S: Final = 15.0


def links_key(gateway_id: str) -> str:
    """Return where a gateway writes what it knows of its links."""
    return f"mf:links:{gateway_id}"


class LinkDetails:
    """A gateway's own links, written with the post's rounds. A `Writer` of the post."""

    def __init__(self, gateway_id: str) -> None:
        self._key = links_key(gateway_id)
        self._all: dict[str, LinkDetail] = {}
        self._new: dict[str, LinkDetail] = {}
        self._gone: set[str] = set()
        self._in_flight: tuple[dict[str, LinkDetail], set[str]] = ({}, set())
        self._renewed_at = 0.0

    def put(self, session: str, detail: LinkDetail) -> None:
        """Have a link's details written."""
        self._all[session] = self._new[session] = detail
        self._gone.discard(session)

    def remove(self, session: str) -> None:
        """Have a link's details removed."""
        if self._all.pop(session, None) is not None:
            self._new.pop(session, None)
            self._gone.add(session)

    def commands(self, pipe: "Pipeline[bytes]") -> None:
        """Add what has changed, and keep all of it from ending."""
        now = time.monotonic()
        is_due = bool(self._all) and now - self._renewed_at > DETAILS_RENEWED_S
        new, gone = self._in_flight = self._new, self._gone
        self._new, self._gone = {}, set()
        if new:
            written: dict[str | bytes, bytes | float | int | str] = {
                one: msgspec.msgpack.encode(detail) for one, detail in new.items()
            }
            pipe.hset(self._key, mapping=written)
        if gone:
            pipe.hdel(self._key, *gone)
        if new or is_due:
            pipe.expire(self._key, DETAILS_KEPT_S)
            self._renewed_at = now

    def written(self, results: Any) -> None:
        """Write again what was refused."""
        if any(isinstance(result, Exception) for result in results):
            new, gone = self._in_flight
            self._new = {**new, **self._new}
            self._gone |= gone
        self._in_flight = ({}, set())

    def lost(self) -> None:
        """Write all of it again."""
        self._new = dict(self._all)
        self._gone |= self._in_flight[1]


class ViewReader:
    """Reads the view again and again; keeps the last one."""

    def __init__(self, *, redis_url: str) -> None:
        self.view: RouterView = NO_VIEW
        self.token = 0
        self.gateways: frozenset[str] = frozenset()
        self._url = redis_url
        self._version = b""
        self._read_at: float | None = None
        self._details: dict[str, LinkDetail] = {}
        self._is_awaited = asyncio.Event()

    @property
    def age_s(self) -> float | None:
        """How long ago a new view was read; None before the first."""
        return None if self._read_at is None else time.monotonic() - self._read_at

    def look(self) -> None:
        """Read at once: there is something to see."""
        self._is_awaited.set()

    async def run(self) -> None:
        """Read until cancelled."""
        async with redis_connected(self._url) as redis:
            while not is_cancelled():
                try:
                    await self.read(redis)
                except AWAY as error:
                    log.debug("the router's view can't be read: %s", type(error).__name__)
                except msgspec.DecodeError as error:
                    log.warning("the router's view is not understood: %s", error)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await self._is_awaited.wait()
                self._is_awaited.clear()

    async def read(self, redis: "Redis[bytes]") -> None:
        """Read the view if there is another one. Raises redis' errors, msgspec.DecodeError."""
        version = await redis.get(keys.VIEW_VERSION)
        if version is None or version == self._version:
            return
        data = await redis.get(keys.VIEW)
        if data is None:
            return
        written = written_view_decode(data)
        await self._read_details(redis, written)
        self.view, self.token = self._joined(written), written.token
        self.gateways = frozenset(written.gateways)
        self._version, self._read_at = version, time.monotonic()

    async def _read_details(self, redis: "Redis[bytes]", written: WrittenView) -> None:
        """Read what is not yet known of its links, and forget those that are gone."""
        self._details = {
            one: self._details[one] for one in written.sessions if one in self._details
        }
        missing: dict[str, list[str]] = {}
        for session in written.sessions:
            if session not in self._details:
                missing.setdefault(gateway_of(session), []).append(session)
        for gateway, sessions in missing.items():
            found = await redis.hmget(links_key(gateway), sessions)
            for session, data in zip(sessions, found, strict=True):
                if data is not None:
                    self._details[session] = msgspec.msgpack.decode(data, type=LinkDetail)

    def _joined(self, written: WrittenView) -> RouterView:
        nothing = LinkDetail()
        instances = []
        for session, one in zip(written.sessions, written.view.instances, strict=True):
            detail = self._details.get(session, nothing)
            instances.append(
                replace(
                    one,
                    operator=detail.operator,
                    credential_id=detail.credential_id,
                    agent=detail.agent,
                )
            )
        return replace(written.view, instances=tuple(instances))
