"""The process that an engine runs in: `python -m motherfluxer_model.engines.host FD PARENT …`.

It speaks with the container's main process over the socket FD, ends when that ends, and leaves
signals that are meant for both to it. Further arguments are modules to import beforehand.
"""

import asyncio
import contextlib
import ctypes
import importlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from typing import Any, Final, cast

from motherfluxer_model.core.answer import Piece
from motherfluxer_model.core.pipe import (
    Begin,
    Ended,
    Failed,
    FromHost,
    Ping,
    Pong,
    Ready,
    Run,
    Said,
    Stop,
    Unfit,
    pack,
    unpacker_to_host,
)
from motherfluxer_model.engines.port import Engine
from motherfluxer_model.errors import ContainerError, GenerationError, PipeError
from motherfluxer_wire.frames import Job, Usage

logger = logging.getLogger(__name__)
NOTHING_USED: Final = Usage(prompt_tokens=0, completion_tokens=0)
LEAST_PRIORITY: Final = 19
_PR_SET_PDEATHSIG: Final = 1


class Host(asyncio.Protocol):
    """Holds one engine; says what it says."""

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._jobs: dict[int, Job] = {}
        self._begun: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._unpacker = unpacker_to_host()
        self._transport: asyncio.Transport | None = None
        self._waiting: list[FromHost] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the way to the main process."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        """End: nobody is left to serve."""
        _leave()

    def data_received(self, data: bytes) -> None:
        """Do what the main process says."""
        try:
            messages = self._unpacker.feed(data)
        except PipeError:
            logger.exception("the main process wrote nonsense")
            _leave()
            return
        for message in messages:
            if isinstance(message, Run):
                self._jobs[message.handle] = message.job
                self._start(self._answer(message.handle, message.job))
            elif isinstance(message, Stop):
                self._stop(message.handle)
            elif isinstance(message, Ping):
                self._say(Pong(self._engine.status if self._engine is not None else {}))
            else:
                self._start(self._begin(message))

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _begin(self, order: Begin) -> None:
        try:
            # The import takes seconds, in which pings must be answered.
            factory = await asyncio.to_thread(_find, order.factory)
            self._engine = engine = factory(**order.arguments)
            await engine.prepare()
        except ContainerError as error:
            self._say(Unfit(str(error)))
        except ImportError as error:
            words = f"{error}; install what it needs: pip install '.[transformers]'"
            self._say(Unfit(words))
        except Exception as error:  # the rim of the engine: its main process must hear of it
            logger.exception("the engine cannot be loaded")
            self._say(Unfit(f"{type(error).__name__}: {error}"))
        else:
            self._say(Ready(engine.models, engine.hardware))

    async def _answer(self, handle: int, job: Job) -> None:
        try:
            if self._engine is not None and handle in self._jobs:
                self._begun.add(handle)
                async for said in self._engine.generate(job):
                    if isinstance(said, Piece):
                        self._say(Said(handle, said.text, said.tokens, said.token_ids))
                    else:
                        self._say(Ended(handle, said.reason, said.usage, said.timings))
            else:  # stopped before it began
                self._say(Ended(handle, "cancelled", NOTHING_USED))
        except GenerationError as error:
            self._say(Failed(handle, error.code, error.message, error.retryable))
        except Exception as error:  # the rim of one job: its siblings must not be touched
            logger.exception("job %s failed", job.job)
            words = f"{type(error).__name__} in the engine"
            self._say(Failed(handle, "engine_error", words, retryable=True))
        finally:
            self._jobs.pop(handle, None)
            self._begun.discard(handle)

    def _stop(self, handle: int) -> None:
        job = self._jobs.get(handle)
        if job is None or self._engine is None:
            return
        if handle in self._begun:
            self._engine.cancel(job.job, job.attempt)
        else:
            del self._jobs[handle]

    def _say(self, message: FromHost) -> None:
        """Say something; what comes up in one turn of the loop goes out together."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        self._waiting.append(message)

    def _flush(self) -> None:
        if self._transport is not None:
            self._transport.write(pack(self._waiting))
        self._waiting.clear()


def die_with_parent(parent_pid: int) -> None:
    """Ask Linux to kill this process when its parent ends; elsewhere the closed socket tells."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent_pid:
        _leave()


def preload(modules: Sequence[str]) -> None:
    """Import what an engine will need, without taking processor time from the one that serves."""

    def work() -> None:
        with contextlib.suppress(OSError, AttributeError):  # one thread's priority: Linux alone
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LEAST_PRIORITY)
        for module in modules:
            with contextlib.suppress(ImportError):  # said when it is really wanted
                importlib.import_module(module)

    threading.Thread(target=work, name="preload", daemon=True).start()


async def serve(connection: socket.socket) -> None:
    """Serve until the main process is gone; never returns."""
    await asyncio.get_running_loop().create_connection(Host, sock=connection)
    await asyncio.Event().wait()


def main(argv: Sequence[str]) -> None:
    """Be an engine's process."""
    descriptor, parent_pid, *modules = argv
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    die_with_parent(int(parent_pid))
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)-7s %(message)s", datefmt="%H:%M:%S"
    )
    for talkative in ("httpx", "httpcore", "httpx2", "httpcore2"):
        logging.getLogger(talkative).setLevel(logging.ERROR)
    preload(modules)
    asyncio.run(serve(socket.socket(fileno=int(descriptor))))


def _find(factory: str) -> Any:
    module, _, name = factory.partition(":")
    return getattr(importlib.import_module(module), name)


def _leave() -> None:
    """End at once: threads that compute or load cannot be waited for."""
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
