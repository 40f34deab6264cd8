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
from pathlib import Path

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import (
    ConnectionClosed,
    InvalidStatus,
    WebSocketException,
)

from motherfluxer_model.connection import Connection
from motherfluxer_model.core.backoff import Backoff, parse_retry_after
from motherfluxer_model.credential import Credential
from motherfluxer_model.desk import Desk
from motherfluxer_model.dialling import AGENT, Dialler, show_proxy
from motherfluxer_model.errors import (
    CredentialRefusedError,
    ProtocolTooOldError,
    ReplacedError,
)
from motherfluxer_model.troubles import explain_trouble, quote_refusal
from motherfluxer_wire import limits
from motherfluxer_wire.frames import Hello

logger = logging.getLogger(__name__)


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
    credential_file: Path | None = None  # read again at each connection
    ca_file: Path | None = None

    def make_dialler(self) -> Dialler:
        """Make what opens this instance's connections."""
        credential = Credential(self.credential, self.credential_file)
        return Dialler(self.url, credential, self.ca_file)


@dataclass(frozen=True, slots=True)
class Trouble:
    """What went wrong on the way to the router, in words, and when."""

    words: str
    at_s: float


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
        self.connects_count = 0
        self.trouble: Trouble | None = None  # the last one
        self._identity = identity
        self._dialler = identity.make_dialler()
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
            websocket = await self._dialler.dial()
        except InvalidStatus as error:
            return await self._judge_refusal(error, backoff)
        except (OSError, WebSocketException, ValueError, ImportError) as error:
            url = self._identity.url
            self._complain(f"no connection to {url}: {explain_trouble(error, url)}")
            return backoff.failed()
        connection = Connection(websocket, self._desk, self._chance.clock)
        try:
            welcome = await connection.greet(self._hello())
            if welcome is None:
                return await self._judge_close(websocket, backoff, was_welcome=False)
            self._show(welcome.session, welcome.warnings)
            self._connection = connection
            if await connection.serve(welcome):
                return None
            return await self._judge_close(websocket, backoff, was_welcome=True)
        except ConnectionClosed:
            return await self._judge_close(websocket, backoff, was_welcome=False)
        finally:
            self._connection = None
            await websocket.close()

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
        self.connects_count += 1
        url, name = self._identity.url, self._identity.name
        logger.info("connected to %s%s as %s (session %s)", url, show_proxy(url), name, session)
        for warning in warnings:
            logger.warning("the router says: %s", warning)

    async def _judge_refusal(self, error: InvalidStatus, backoff: Backoff) -> Backoff:
        status = error.response.status_code
        said = quote_refusal(error.response.body, self._dialler.credential.text)
        if status in (401, 403):
            words = f"the router refused the credential ({status}): {said}"
            return await self._take_new_credential(CredentialRefusedError(words), backoff)
        if status == 426:
            raise ProtocolTooOldError(f"the router does not speak {limits.PROTOCOL}: {said}")
        self._complain(f"the router answered {status}: {said}")
        retry_after = error.response.headers.get("Retry-After")
        return backoff.failed(parse_retry_after(retry_after, self._chance.unix_time()))

    async def _judge_close(
        self, websocket: ClientConnection, backoff: Backoff, *, was_welcome: bool
    ) -> Backoff:
        code, reason = websocket.close_code or 1006, websocket.close_reason or "no reason given"
        if code == limits.CLOSE_CREDENTIAL_ENDED:
            words = f"the router ended the credential: {reason}; issue a new one on the site"
            return await self._take_new_credential(CredentialRefusedError(words), backoff)
        if code == limits.CLOSE_REPLACED:
            raise ReplacedError(f"another container runs as {self._identity.name}: {reason}")
        self._complain(f"connection lost ({code} {reason})")
        if was_welcome or code in (limits.CLOSE_RESTARTING, limits.CLOSE_OVERLOADED):
            return backoff.closed(code)
        return backoff.failed()

    async def _take_new_credential(
        self, refusal: CredentialRefusedError, backoff: Backoff
    ) -> Backoff:
        """Go on where the credential's file holds another one by now; else raise the refusal."""
        if not await asyncio.to_thread(self._dialler.credential.reread):
            raise refusal
        logger.info("%s; the credential's file holds another one, trying that", refusal)
        return backoff.failed()

    def _complain(self, words: str) -> None:
        self.trouble = Trouble(words, self._chance.clock())
        logger.warning("%s", words)
