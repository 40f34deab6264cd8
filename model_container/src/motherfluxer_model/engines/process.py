"""One process that hosts an engine, as the main process sees it: started, spoken to, ended.

It gets a socket and nothing else: no credential in its arguments, its environment or its memory.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Final, cast

from motherfluxer_model.core.pipe import FromHost, ToHost, pack, unpacker_from_host
from motherfluxer_model.errors import PipeError

logger = logging.getLogger(__name__)
HOST_MODULE: Final = "motherfluxer_model.engines.host"
OPTIONS_PREFIX: Final = "MOTHERFLUXER_"  # the options' variables, the credential among them
PARENTS_SIGNALS: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
Listener = Callable[[list[FromHost]], None]


class HostProcess(asyncio.Protocol):
    """A child with an engine in it, or with everything imported that an engine needs."""

    def __init__(self) -> None:
        self.listener: Listener = lambda messages: None
        self._process: asyncio.subprocess.Process | None = None
        self._transport: asyncio.Transport | None = None
        self._unpacker = unpacker_from_host()
        self._waiting: list[ToHost] = []
        self._is_flush_due = False
        self._gone = asyncio.Event()
        self._broken = ""

    @property
    def pid(self) -> int:
        """Its process id; 0 before it is started."""
        return self._process.pid if self._process is not None else 0

    @property
    def is_gone(self) -> bool:
        """Whether it has ended, or will be of no more use."""
        return self._gone.is_set()

    async def start(self, *preload: str) -> None:
        """Start it; with modules to import, it does that at the lowest priority."""
        ours, theirs = socket.socketpair()
        with contextlib.ExitStack() as unless_started, theirs, _signals_held():
            unless_started.callback(ours.close)
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", HOST_MODULE),
                *(str(theirs.fileno()), str(os.getpid()), *preload),
                stdin=subprocess.DEVNULL,
                stdout=2,  # what a library prints belongs beside the log
                pass_fds=[theirs.fileno()],
                env={k: v for k, v in os.environ.items() if not k.startswith(OPTIONS_PREFIX)},
            )
            unless_started.pop_all()
        await asyncio.get_running_loop().create_connection(lambda: self, sock=ours)

    def send(self, message: ToHost) -> None:
        """Say something; what is said in one turn of the loop goes out together."""
        self._waiting.append(message)
        if not self._is_flush_due:
            self._is_flush_due = True
            asyncio.get_running_loop().call_soon(self._flush)

    async def wait(self) -> str:
        """Wait until it is gone; say how it went."""
        await self._gone.wait()
        code = await self._end()
        if self._broken:
            return self._broken
        if code == -signal.SIGKILL:
            return "it was killed (SIGKILL), by somebody or for want of memory"
        if code < 0:
            return f"it was ended by {signal.Signals(-code).name}"
        return f"it ended with status {code}"

    async def kill(self) -> None:
        """End it, however it stands, and everything that is known of it."""
        if self._process is not None:
            await self._end()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the way to it."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Hand over what it says."""
        try:
            messages = self._unpacker.feed(data)
        except PipeError as error:
            self._broken = f"it wrote nonsense: {error}"
            self._gone.set()
            return
        if messages:
            self.listener(messages)

    def connection_lost(self, error: Exception | None) -> None:
        """Note that it is gone."""
        self._gone.set()

    def _flush(self) -> None:
        self._is_flush_due = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(pack(self._waiting))
        self._waiting.clear()

    async def _end(self) -> int:
        process = self._process
        assert process is not None  # noqa: S101  only what was started ends
        self.listener = lambda messages: None
        if process.returncode is None:
            # Not by the library's `kill`: that may bury the process unseen and lose how it ended.
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        code = await process.wait()
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        return code


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Hold back what is meant for the parent until the child can ignore it: a mask is inherited."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, PARENTS_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
