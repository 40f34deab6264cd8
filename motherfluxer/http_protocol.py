"""What the server reads off an HTTP connection, bounded in size and in time.

Uvicorn waits for ever: for a head that never ends, a body that stops coming, a reader that does not
read. Each of them here costs its sender the connection.
"""

import asyncio
from typing import Final, Literal

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

MAX_HEAD_BYTES: Final = 64 * 1024
MAX_FIELDS_COUNT: Final = 100
# Applications have narrower bounds; this one ends what is sent after they have answered.
MAX_BODY_BYTES: Final = 64 * 1024 * 1024

_TOO_LARGE: Final = "The request's head is too large."
_TOO_SLOW: Final = "The request did not come in time."


class BoundedHttpProtocol(HttpToolsProtocol):
    """Uvicorn's HTTP connection with an end to heads, bodies and readers that stand still.

    head_within_s: from the connection, or from a later request's first byte, to its head's end.
    body_idle_s, body_within_s: from byte to byte of a body while we read, and for all of it.
    stalled_within_s: a reader that takes nothing for so long has gone.
    """

    head_within_s: float = 15.0
    body_idle_s: float = 20.0
    body_within_s: float = 300.0
    stalled_within_s: float = 60.0

    _part: Literal["head", "body", "none"] = "head"
    _part_number = 0
    _part_bytes = 0
    _part_began_at = 0.0
    _field_bytes = 0
    _last_bytes_at = 0.0
    _is_head_too_large = False
    _is_draining = False
    _lateness: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._part_begin("head")
        self._watch(self.head_within_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop every clock."""
        self._unwatch()
        if self._stall is not None:
            self._stall.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes off the socket."""
        self._last_bytes_at = self.loop.time()
        part_number = self._part_number
        super().data_received(data)
        if self._part == "none" or self.transport.is_closing():
            return
        if part_number == self._part_number:
            self._part_bytes += len(data)
        if self._part == "head" and self._part_bytes > MAX_HEAD_BYTES:
            self._refuse(431, _TOO_LARGE)
        elif self._part == "body" and self._part_bytes > MAX_BODY_BYTES:
            self.transport.close()
        elif self._lateness is None:
            self._watch(self.head_within_s if self._part == "head" else self.body_idle_s)

    def on_message_begin(self) -> None:
        """Begin to count a head; the first one's time runs since the connection was made."""
        if self._part != "head":
            self._part_begin("head")
        self._field_bytes = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field. A ValueError from here makes the parser refuse the request."""
        super().on_header(name, value)
        self._field_bytes += len(name) + len(value)
        is_long = len(self.url) + self._field_bytes > MAX_HEAD_BYTES
        if is_long or len(self.headers) > MAX_FIELDS_COUNT:
            self._is_head_too_large = True
            raise ValueError(_TOO_LARGE)

    def on_headers_complete(self) -> None:
        """Begin to count the body."""
        self._unwatch()
        self._part_begin("body")
        super().on_headers_complete()
        if self._is_draining and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """End the count."""
        self._unwatch()
        self._part = "none"
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over."""
        self._unwatch()
        self._part = "none"
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed, or what we made the parser refuse."""
        if self._is_head_too_large:
            self._refuse(431, _TOO_LARGE)
        else:
            super().send_400_response(msg)

    def pause_writing(self) -> None:
        """Begin to wait for a reader that does not keep up."""
        super().pause_writing()
        self._stall = self.loop.call_later(self.stalled_within_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on writing."""
        if self._stall is not None:
            self._stall.cancel()
        super().resume_writing()

    def drain(self) -> None:
        """Let this connection end: at once where it is idle, else after its answer.

        One whose next request may be on its way already still gets that answered.
        """
        self._is_draining = True
        if self.cycle is None or self._part == "head":
            return
        if not self.cycle.response_complete:
            self.cycle.keep_alive = False
        elif self._part == "none":
            self.transport.close()

    def _part_begin(self, part: Literal["head", "body"]) -> None:
        self._part = part
        self._part_number += 1
        self._part_bytes = 0
        self._part_began_at = self._last_bytes_at = self.loop.time()

    def _watch(self, delay_s: float) -> None:
        self._lateness = self.loop.call_later(delay_s, self._look)

    def _unwatch(self) -> None:
        if self._lateness is not None:
            self._lateness.cancel()
            self._lateness = None

    def _look(self) -> None:
        """Cut what is late; what we do not read ourselves is not."""
        now = self.loop.time()
        if self.flow.read_paused:
            self._part_began_at = self._last_bytes_at = now
        left_s = self.head_within_s - (now - self._part_began_at)
        if self._part == "body":
            left_s = min(
                self.body_idle_s - (now - self._last_bytes_at),
                self.body_within_s - (now - self._part_began_at),
            )
        if left_s > 0:
            self._watch(left_s)
        elif self._is_silent() or self._has_answered():
            self.transport.close()
        else:
            self._refuse(408, _TOO_SLOW)

    def _is_silent(self) -> bool:
        """Whether nothing at all has been sent: the peer does not wait for an answer either."""
        return self._part_number == 1 and self._part_bytes == 0

    def _has_answered(self) -> bool:
        return self._part == "body" and bool(self.cycle and self.cycle.response_started)

    def _refuse(self, status: int, words: str) -> None:
        head: list[tuple[bytes, bytes]] = [
            *self.server_state.default_headers,
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(words)),
            (b"connection", b"close"),
        ]
        lines = b"".join(b"%s: %s\r\n" % field for field in head)
        self.transport.write(STATUS_LINE[status] + lines + b"\r\n" + words.encode("ascii"))
        self.transport.close()
