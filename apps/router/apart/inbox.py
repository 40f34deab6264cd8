"""What comes to a gateway: the router's effects and other gateways' letters, each once, in order.

A router that was deposed is not obeyed: its token is lower than one that was heard.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

from redis.asyncio import Redis

from apps.router.apart import keys
from apps.router.apart.letter_codec import BETWEEN, EFFECTS
from apps.router.apart.numbering import Incoming
from apps.router.core.cluster import ROUTER
from apps.router.core.effects import Effect
from apps.router.core.letters import Between

log = logging.getLogger(__name__)

READ_COUNT: Final = 256
BLOCK_MS: Final = 1000
GONE_MOST: Final = 1000


class Inbox:
    """The inbox of one gateway. `token`: that of the router heard last; 0: of none."""

    def __init__(self, gateway_id: str) -> None:
        self.key = keys.inbox(gateway_id)
        self.read_to = b"0"
        self.token = 0
        self.receive_effects: Callable[[list[Effect]], None] = lambda _: None
        self.receive_between: Callable[[str, list[Between]], None] = lambda _source, _: None
        self._from: dict[str, Incoming] = {}
        self._from_gone: dict[str, Incoming] = {}

    async def read(self, redis: "Redis[bytes]") -> None:
        """Wait for something, and act on it. Raises redis' errors."""
        found = await redis.xread({self.key: self.read_to}, count=READ_COUNT, block=BLOCK_MS)
        for _, rows in found or ():
            for row_id, fields in rows:
                self.read_to = row_id
                self._take(fields)

    def forget(self, gateway_id: str) -> None:
        """Keep of a gateway that is gone only how far it was read."""
        # It may only have stood still, and then writes again what was read before.
        if incoming := self._from.pop(gateway_id, None):
            self._from_gone[gateway_id] = incoming
        while len(self._from_gone) > GONE_MOST:
            del self._from_gone[next(iter(self._from_gone))]

    def forget_gateways(self) -> None:
        """Take all that gateways write for new: they have forgotten this one."""
        self._from = {ROUTER: self._from[ROUTER]} if ROUTER in self._from else {}

    def _take(self, fields: dict[bytes, bytes]) -> None:
        source = fields[b"s"].decode()
        try:
            if source == ROUTER:
                self._take_effects(int(fields[b"t"]), int(fields[b"n"]), fields[b"b"])
            else:
                letters = BETWEEN.decode(fields[b"b"])
                self.receive_between(source, self._news(source, int(fields[b"n"]), letters))
        except Exception:  # the rim: one letter's trouble must not stop the others
            log.exception("letters could not be acted on", extra={"gateway": source})

    def _take_effects(self, token: int, first: int, payload: bytes) -> None:
        if token < self.token:
            log.warning("a router that was deposed is not obeyed", extra={"token": token})
            return
        if token > self.token:
            log.info("another router acts", extra={"token": token})
            self.token = token
        self.receive_effects(self._news(ROUTER, first, EFFECTS.decode(payload)))

    def _news(self, source: str, first: int, letters: Sequence[Any]) -> list[Any]:
        incoming = self._from.get(source)
        if incoming is None:
            incoming = self._from_gone.pop(source, None) or Incoming(expected=first)
            self._from[source] = incoming
        missed = incoming.missed_count
        had = incoming.news_in(first, len(letters))
        if incoming.missed_count > missed:
            count = incoming.missed_count - missed
            log.error("letters never came: %d", count, extra={"gateway": source})
        return [letter for letter in letters[had:] if letter is not None]
