"""Serves the site: uvicorn, configured once for `make run`, the tests and production.

Run it as `python -m motherfluxer.server`; production runs it under gunicorn, by `worker.py`.
"""

import asyncio
import contextlib
import gc
import logging
import os
import select
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any, Final

import uvicorn
from django.conf import settings

from motherfluxer.forwarding import with_proxies_watched
from motherfluxer.http_protocol import BoundedHttpProtocol
from motherfluxer.protocols import BoundedWebSocketProtocol
from motherfluxer.sockets import BACKLOG_COUNT, bound_sockets, files_allowed
from motherfluxer_wire.limits import MAX_FRAME_BYTES

APPLICATION: Final = "motherfluxer.asgi:application"
PING_INTERVAL_S: Final = 5.0
PING_TIMEOUT_S: Final = 5.0
GRACEFUL_SHUTDOWN_S: Final = 5
# How often it is looked whether nobody waits to be let in any more, before the door is closed.
LAST_CALL_S: Final = 0.002
LAST_CALLS_COUNT: Final = 250
# How long a thread that computes keeps the interpreter while the event loop waits for it.
THREAD_TURN_S: Final = 0.0002

logger = logging.getLogger(__name__)

Notify = Callable[[], Awaitable[None]]


def server_config(
    application: Any = APPLICATION, *, notify: Notify | None = None, notify_s: float = 30.0
) -> uvicorn.Config:
    """Return how the site is served, by the settings, and load the application.

    `notify` is called every `notify_s` while the event loop turns.
    """
    config = uvicorn.Config(
        application,
        loop="uvloop",
        http=BoundedHttpProtocol,
        ws=BoundedWebSocketProtocol,
        ws_max_size=MAX_FRAME_BYTES,
        ws_ping_interval=PING_INTERVAL_S,
        ws_ping_timeout=PING_TIMEOUT_S,
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.TRUSTED_PROXIES),
        forwarded_allow_ips=settings.TRUSTED_PROXIES,
        timeout_keep_alive=settings.KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_S,
        timeout_notify=notify_s,  # type: ignore[arg-type] # it is compared with a float
        callback_notify=notify,
        backlog=BACKLOG_COUNT,
    )
    config.load()
    config.loaded_app = with_proxies_watched(config.loaded_app, settings.TRUSTED_PROXIES)
    return config


class DrainingServer(uvicorn.Server):
    """Lets running answers end before the websockets that bring them are closed.

    Uvicorn closes websockets first; an answer in flight would lose its instance. While it drains
    the server takes no connection and ends idle ones, so that the next request goes elsewhere.
    """

    _loop: asyncio.AbstractEventLoop
    _sockets: list[socket.socket]
    _drain: asyncio.Task[None] | None = None
    _was_asked = False

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal."""
        self._loop = asyncio.get_running_loop()
        self._sockets = sockets or []
        await super().serve(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain at the first signal. SIGTERM again changes nothing; another one hurries."""
        if not self.started:
            super().handle_exit(sig, frame)
        elif not self._was_asked:
            self._was_asked = True
            self._loop.call_soon_threadsafe(self._stop_listening, sig)
        elif sig != signal.SIGTERM:
            super().handle_exit(sig, frame)

    def _stop_listening(self, sig: int, calls_left: int = LAST_CALLS_COUNT) -> None:
        """Let in who has connected already: the queue of a socket that is closed is reset."""
        if calls_left and any(_has_queue(listener) for listener in self._sockets):
            self._loop.call_later(LAST_CALL_S, self._stop_listening, sig, calls_left - 1)
        else:
            self._start_drain(sig)

    def _start_drain(self, sig: int) -> None:
        for server in self.servers:
            server.close()
        for listener in self._sockets:
            listener.close()
        for connection in list(self.server_state.connections):
            if isinstance(connection, BoundedHttpProtocol):
                connection.drain()
        self._drain = self._loop.create_task(self._drain_then_exit(sig))

    async def _drain_then_exit(self, sig: int) -> None:
        # The application leaves its own way to drain in the lifespan's state.
        drain = self.lifespan.state.get("drain")
        logger.info("draining", extra={"at_most_s": settings.DRAIN_S})
        try:
            if drain is not None:
                await drain(timeout_s=settings.DRAIN_S)
        except Exception:  # whatever goes wrong here, the server must still stop
            logger.exception("draining failed")
        super().handle_exit(sig, None)


def _has_queue(listener: socket.socket) -> bool:
    """Whether somebody waits to be accepted."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    return bool(poll.poll(0))


def process_prepared() -> None:
    """Make a process that has loaded the application fit to serve: nothing delays a token."""
    files_allowed()
    collector_calm()
    threads_polite()


def collector_calm() -> None:
    """Keep the garbage collector from holding up the token path.

    What was loaded at the start is never garbage: walking through it again and again made the
    slowest hundredth of dispatches nearly twice as slow (`benchmarks/router_latency.py`).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def threads_polite() -> None:
    """Keep threads that compute from holding up the token path.

    The writers of the logs work for milliseconds at a time. With Python's own turns of 5 ms the
    event loop waited for them as long, which is what made the slowest hundredth of dispatches.
    """
    sys.setswitchinterval(THREAD_TURN_S)


def main() -> int:
    """Serve the site until a signal and return the exit status."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "motherfluxer.settings.dev")
    config = server_config()
    port = settings.MOTHERFLUXER_PORT
    try:
        sockets = bound_sockets(settings.MOTHERFLUXER_BIND, port)
    except OSError as error:
        sys.stderr.write(
            f"Cannot listen on port {port}: {error.strerror}. Choose another: PORT=…\n"
        )
        return 1
    process_prepared()
    with contextlib.suppress(KeyboardInterrupt):  # what a Ctrl-C ends in, after everything is done
        DrainingServer(config).run(sockets=sockets)
    return 0


if __name__ == "__main__":
    sys.exit(main())
