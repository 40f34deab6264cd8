"""Serves the site: uvicorn, configured once for `make run`, the tests and production.

Run it as `python -m motherfluxer.server`.
"""

import asyncio
import gc
import logging
import socket
import sys
from types import FrameType
from typing import Final

import uvicorn
from django.conf import settings

from motherfluxer import asgi
from motherfluxer.protocols import BoundedHttpProtocol, BoundedWebSocketProtocol
from motherfluxer.sockets import BACKLOG_COUNT, bound_sockets
from motherfluxer_wire.limits import MAX_FRAME_BYTES

PING_INTERVAL_S: Final = 5.0
PING_TIMEOUT_S: Final = 5.0
# A running answer may end within this time after the first SIGTERM; then links are closed.
DRAIN_S: Final = 20.0
GRACEFUL_SHUTDOWN_S: Final = 5
KEEP_ALIVE_S: Final = 65
# How long a thread that computes keeps the interpreter while the event loop waits for it.
THREAD_TURN_S: Final = 0.0002

logger = logging.getLogger(__name__)


def server_config() -> uvicorn.Config:
    """Return how the site is served, by the settings."""
    return uvicorn.Config(
        asgi.application,
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
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_S,
        backlog=BACKLOG_COUNT,
    )


class DrainingServer(uvicorn.Server):
    """Lets running answers end before the websockets that bring them are closed.

    Uvicorn closes websockets first; an answer in flight would lose its instance.
    """

    _loop: asyncio.AbstractEventLoop
    _drain: asyncio.Task[None] | None = None
    _was_asked = False

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal."""
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain at the first signal; stop at once at the second."""
        if self._was_asked or not self.started:
            super().handle_exit(sig, frame)
            return
        self._was_asked = True
        self._loop.call_soon_threadsafe(self._start_drain, sig)

    def _start_drain(self, sig: int) -> None:
        self._drain = self._loop.create_task(self._drain_then_exit(sig))

    async def _drain_then_exit(self, sig: int) -> None:
        # The application leaves its own way to drain in the lifespan's state.
        drain = self.lifespan.state.get("drain")
        try:
            if drain is not None:
                await drain(timeout_s=DRAIN_S)
        except Exception:  # whatever goes wrong here, the server must still stop
            logger.exception("draining failed")
        super().handle_exit(sig, None)


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
    port = settings.MOTHERFLUXER_PORT
    try:
        sockets = bound_sockets(settings.MOTHERFLUXER_BIND, port)
    except OSError as error:
        sys.stderr.write(
            f"Cannot listen on port {port}: {error.strerror}. Choose another: PORT=…\n"
        )
        return 1
    collector_calm()
    threads_polite()
    server = DrainingServer(server_config())
    server.run(sockets=sockets)
    return 0


if __name__ == "__main__":
    sys.exit(main())
