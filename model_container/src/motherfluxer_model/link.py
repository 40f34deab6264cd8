"""The link to the router: dials out, introduces this instance, carries frames, comes back.

dialling --upgraded--> greeting --welcome--> open --broken--> waiting --> dialling
   '------------------ refused ------------------------------^
open --drained--> ended          any --credential refused, replaced--> LinkEndedError
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidStatus,
    WebSocketException,
)
from websockets.typing import Subprotocol

from motherfluxer_model import __version__
from motherfluxer_model.connection import Connection
from motherfluxer_model.core.backoff import Backoff, parse_retry_after
from motherfluxer_model.desk import Desk
from motherfluxer_model.errors import (
    CredentialRefusedError,
    ProtocolTooOldError,
    ReplacedError,
)
from motherfluxer_wire import limits
from motherfluxer_wire.frames import Hello

logger = logging.getLogger(__name__)
AGENT: Final = f"motherfluxer-model/{__version__}"
MAX_MESSAGE_BYTES: Final = 2 * limits.MAX_FRAME_BYTES
OPEN_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 1.0  # the library's default of 10 s would hold up noticing a silent router


class LinkState(StrEnum):
    """Where the link stands."""

    WAITING = "waiting"
    DIALLING = "dialling"
    OPEN = "open"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this instance is; the credential is kept out of every representation."""

    url: str
    name: str
    credential: str = field(repr=False)
    region: str | None = None


@dataclass(frozen=True, slots=True)
class Chance:
    """Time and random draws, so that tests can hold them."""

    clock: Callable[[], float] = time.monotonic
    unix_time: Callable[[], float] = time.time
    draw: Callable[[], float] = random.random  # jitter is no secret


class Link:
    """Keeps one connection to the router alive until told to stop."""

    def __init__(
        self,
        identity: Identity,
        desk: Desk,
        *,
        hardware: dict[str, str | int | float] | None = None,
        chance: Chance | None = None,
    ) -> None:
        self.state = LinkState.WAITING
        self.session: str | None = None
        self._identity = identity
        self._desk = desk
        self._hardware = hardware
        self._chance = chance or Chance()
        self._leaving = asyncio.Event()
        self._connection: Connection | None = None

    def drain(self) -> None:
        """Take no new jobs, finish the running ones, then end the link."""
        self._desk.is_draining = True
        self._leaving.set()
        self._desk.news.set()
        if self._connection is not None:
            self._connection.say_draining()

    async def run(self) -> None:
        """Stay connected; returns once drained. Raises LinkEndedError where it cannot go on."""
        backoff = Backoff()
        try:
            while not (self._leaving.is_set() and self._desk.is_empty):
                next_backoff = await self._connect_once(backoff)
                if next_backoff is None:
                    return
                backoff = next_backoff
                self.state = LinkState.WAITING
                wait_s = backoff.wait_s(self._chance.draw())
                logger.info("trying again in %.2f s", wait_s)
                await self._rest(wait_s)
        finally:
            self.state = LinkState.ENDED

    async def _rest(self, wait_s: float) -> None:
        if self._leaving.is_set():
            await asyncio.sleep(min(wait_s, 0.5))
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._leaving.wait()

    async def _connect_once(self, backoff: Backoff) -> Backoff | None:
        """Serve one connection; None: drained, nothing is left to do."""
        self.state = LinkState.DIALLING
        try:
            websocket = await self._dial()
        except InvalidStatus as error:
            return self._judge_refusal(error, backoff)
        except (OSError, WebSocketException, ValueError) as error:
            logger.warning("no connection to %s: %s", self._identity.url, _words(error))
            return backoff.failed()
        connection = Connection(websocket, self._desk, self._chance.clock)
        try:
            welcome = await connection.greet(self._hello())
            if welcome is None:
                return self._judge_close(websocket, backoff, was_welcome=False)
            self._show(welcome.session, welcome.warnings)
            self._connection = connection
            if await connection.serve(welcome):
                return None
            return self._judge_close(websocket, backoff, was_welcome=True)
        except ConnectionClosed:
            return self._judge_close(websocket, backoff, was_welcome=False)
        finally:
            self._connection = None
            await websocket.close()

    async def _dial(self) -> ClientConnection:
        return await connect(
            self._identity.url,
            subprotocols=[Subprotocol(limits.PROTOCOL)],
            additional_headers={"Authorization": f"Bearer {self._identity.credential}"},
            user_agent_header=AGENT,
            compression=None,
            max_size=MAX_MESSAGE_BYTES,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            ping_interval=None,  # `Connection` pings by itself and counts what stays silent
        )

    def _hello(self) -> Hello:
        self._desk.mail.expire(self._chance.clock())
        return Hello(
            agent=AGENT,
            instance=self._identity.name,
            models=self._desk.greeting(),
            slots=self._desk.slots,
            region=self._identity.region,
            hardware=dict(self._hardware) if self._hardware else None,
            resume=self._desk.mail.offers(),
        )

    def _show(self, session: str, warnings: list[str]) -> None:
        self.state = LinkState.OPEN
        self.session = session
        logger.info(
            "connected to %s as %s (session %s)", self._identity.url, self._identity.name, session
        )
        for warning in warnings:
            logger.warning("the router says: %s", warning)

    def _judge_refusal(self, error: InvalidStatus, backoff: Backoff) -> Backoff:
        status = error.response.status_code
        body = (error.response.body or b"")[:500].decode(errors="replace")
        if status in (401, 403):
            raise CredentialRefusedError(f"the router refused the credential ({status}): {body}")
        if status == 426:
            raise ProtocolTooOldError(f"the router does not speak {limits.PROTOCOL}: {body}")
        logger.warning("the router answered %d: %s", status, body)
        retry_after = error.response.headers.get("Retry-After")
        return backoff.failed(parse_retry_after(retry_after, self._chance.unix_time()))

    def _judge_close(
        self, websocket: ClientConnection, backoff: Backoff, *, was_welcome: bool
    ) -> Backoff:
        code, reason = websocket.close_code or 1006, websocket.close_reason or "no reason given"
        if code == limits.CLOSE_CREDENTIAL_ENDED:
            raise CredentialRefusedError(f"the router ended the credential: {reason}")
        if code == limits.CLOSE_REPLACED:
            raise ReplacedError(f"another container runs as {self._identity.name}: {reason}")
        logger.warning("connection lost (%d %s)", code, reason)
        if was_welcome or code in (limits.CLOSE_RESTARTING, limits.CLOSE_OVERLOADED):
            return backoff.closed(code)
        return backoff.failed()


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
