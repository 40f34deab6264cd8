"""One welcomed connection: reads orders, writes mail when the writer is ready, beats and pings."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from motherfluxer_model.core.rejects import reject_job
from motherfluxer_model.desk import Desk
from motherfluxer_wire import codec, limits
from motherfluxer_wire.errors import WireError, WireRule
from motherfluxer_wire.frames import (
    Ack,
    Cancel,
    Drain,
    Draining,
    Frame,
    FromRouter,
    Hello,
    Job,
    Welcome,
)

logger = logging.getLogger(__name__)
WELCOME_TIMEOUT_S: Final = 10.0
MAX_PING_INTERVAL_S: Final = 2.0
SILENT_PINGS_COUNT: Final = 3


class Connection:
    """Carries frames over one websocket; ends when it breaks or when everything is drained."""

    def __init__(self, websocket: ClientConnection, desk: Desk, clock: Callable[[], float]) -> None:
        self._websocket = websocket
        self._desk = desk
        self._clock = clock
        self._is_heard = False
        self._is_drained = False
        self._must_say_draining = desk.is_draining

    def say_draining(self) -> None:
        """Tell the router, before anything else, that no new jobs are wanted."""
        self._must_say_draining = True
        self._desk.news.set()

    async def greet(self, hello: Hello) -> Welcome | None:
        """Introduce this instance; None: the router did not welcome it, the connection is closed.

        Raises ConnectionClosed.
        """
        await self._send(hello)
        try:
            async with asyncio.timeout(WELCOME_TIMEOUT_S):
                raw = await self._websocket.recv()
            frame = self._read(raw)
        except TimeoutError:
            await self._websocket.close(limits.CLOSE_PROTOCOL_ERROR, "no welcome in time")
            return None
        except WireError as error:
            await self._refuse(error)
            return None
        if isinstance(frame, Welcome):
            self._desk.apply_welcome(frame)
            return frame
        await self._websocket.close(limits.CLOSE_PROTOCOL_ERROR, "welcome expected")
        return None

    async def serve(self, welcome: Welcome) -> bool:
        """Carry frames until the connection ends; tells whether it ended because all is drained."""
        ping_s = min(welcome.heartbeat_s, MAX_PING_INTERVAL_S)
        tasks = [
            self._start(self._write()),
            self._start(self._beat(welcome.heartbeat_s)),
            self._start(self._watch(ping_s)),
        ]
        try:
            await self._listen()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return self._is_drained

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return asyncio.create_task(self._guard(work))

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except ConnectionClosed:
            pass  # the listener hears of it too
        except Exception:  # the rim of a task: without it the connection is of no use
            logger.exception("the connection failed")
            self._websocket.transport.abort()

    async def _listen(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                raw = await self._websocket.recv()
                self._is_heard = True
                try:
                    self._obey(self._read(raw))
                except WireError as error:
                    rejection = reject_job(raw, error)
                    if rejection is None:
                        await self._refuse(error)
                    else:
                        await self._send(rejection)

    def _obey(self, frame: FromRouter) -> None:
        if isinstance(frame, Job):
            self._desk.take_in(frame)
        elif isinstance(frame, Ack):
            self._desk.mail.acknowledge(frame, self._clock())
        elif isinstance(frame, Cancel):
            self._desk.cancel(frame)
        elif isinstance(frame, Drain):
            logger.info("the router asks to drain: %s", frame.reason or "no reason given")
            self._desk.is_draining = True
            self._desk.news.set()
        else:
            raise WireError(WireRule.INVALID_FRAME, "a second welcome")

    async def _write(self) -> None:
        """Send what is due, the most urgent first; what comes up meanwhile goes out together."""
        desk = self._desk
        while not self._is_drained:
            desk.news.clear()
            due_at = desk.mail.due_at()
            if self._must_say_draining:
                self._must_say_draining = False
                await self._send(Draining())
            elif desk.announcement.is_pause_due:  # before the answers that failed by it
                await self._announce()
            elif due_at is not None and due_at <= self._clock():
                for frame in desk.mail.take(self._clock()):
                    await self._send(frame)
            elif desk.announcement.is_due:  # after them
                await self._announce()
            elif due_at is not None:
                await self._rest_until(due_at)
            elif desk.is_draining and desk.mail.is_flushed:
                self._is_drained = True
                await self._websocket.close(limits.CLOSE_NORMAL, "drained")
            else:
                await desk.news.wait()

    async def _announce(self) -> None:
        if (changed := self._desk.take_announcement()) is not None:
            await self._send(changed)

    async def _rest_until(self, due_at: float) -> None:
        """Wait for a time, or for something more urgent to send."""
        wait_s = due_at - self._clock()
        if wait_s > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._desk.news.wait()

    async def _beat(self, heartbeat_s: float) -> None:
        while True:
            await self._send(self._desk.heartbeat())
            await asyncio.sleep(heartbeat_s)

    async def _watch(self, ping_s: float) -> None:
        """End a connection whose router stays silent for three pings."""
        silent_count = 0
        while silent_count < SILENT_PINGS_COUNT:
            self._is_heard = False
            try:
                async with asyncio.timeout(ping_s):
                    answered = await self._websocket.ping()
                    await asyncio.shield(answered)  # a late pong must find it uncancelled
                self._is_heard = True
            except TimeoutError:
                pass
            silent_count = 0 if self._is_heard else silent_count + 1
            if self._is_heard:
                await asyncio.sleep(ping_s)
        logger.warning("the router has been silent for %d pings", SILENT_PINGS_COUNT)
        self._websocket.transport.abort()

    async def _send(self, frame: Frame) -> None:
        await self._websocket.send(codec.encode(frame))

    def _read(self, raw: str | bytes) -> FromRouter:
        if isinstance(raw, bytes):
            raise WireError(WireRule.NOT_TEXT, "frames are text")
        return codec.decode_from_router(raw)

    async def _refuse(self, error: WireError) -> None:
        logger.warning("the router broke a rule: %s", error)
        await self._websocket.close(limits.CLOSE_PROTOCOL_ERROR, error.close_reason)
