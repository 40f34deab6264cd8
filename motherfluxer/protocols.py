"""What the server reads off a websocket, bounded and by our own rules.

PROTOCOL rule: a frame that is too large or holds text that is not UTF-8 closes its connection with
4000 and a reason that names the rule, where the websocket library would say 1009 or 1007.
"""

import codecs
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import CloseCode, Frame, Opcode
from websockets.server import ServerProtocol

from motherfluxer_wire.errors import WireError, WireRule
from motherfluxer_wire.limits import CLOSE_PROTOCOL_ERROR, MAX_FRAME_BYTES

# After a refusal: at most so much is read, until nothing has come for so long.
LINGER_BYTES: Final = 64 * 1024 * 1024
LINGER_IDLE_S: Final = 0.25
LINGER_MOST_S: Final = 5.0

_OUR_RULES: Final = {
    CloseCode.MESSAGE_TOO_BIG: WireError(
        WireRule.FRAME_TOO_LARGE, f"over {MAX_FRAME_BYTES} bytes"
    ).close_reason,
    CloseCode.INVALID_DATA: WireError(WireRule.INVALID_UTF8, "text that is not UTF-8").close_reason,
}


class FrameProtocol(ServerProtocol):
    """The websocket state machine with our close codes; text is checked as it comes in."""

    _text: codecs.IncrementalDecoder | None = None

    def fail(self, code: CloseCode | int, reason: str = "") -> None:
        """Fail the connection, in our words where we have a rule of our own."""
        ours = _OUR_RULES.get(CloseCode(code)) if code in _OUR_RULES else None
        if ours is None:
            super().fail(code, reason)
        else:
            super().fail(CLOSE_PROTOCOL_ERROR, ours)

    def recv_frame(self, frame: Frame) -> None:
        """Take a frame. A UnicodeDecodeError from here makes the parser fail the connection."""
        if frame.opcode is Opcode.TEXT:
            self._text = codecs.getincrementaldecoder("utf-8")()
        elif frame.opcode is Opcode.BINARY:
            self._text = None
        if self._text is not None and frame.opcode in (Opcode.TEXT, Opcode.CONT):
            self._text.decode(bytes(frame.data), final=frame.fin)
        super().recv_frame(frame)


class BoundedWebSocketProtocol(WebSocketsSansIOProtocol):
    """Uvicorn's websocket connection over FrameProtocol.

    After a refusal it reads on for a moment and throws away: closing a socket with unread bytes
    resets it, and the peer would see a broken pipe where it should see our reason. No half-close:
    some clients' transports trip over an end of stream while they still send.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: Any = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn = FrameProtocol(max_size=config.ws_max_size, logger=self.logger)
        self._lingered_bytes = 0
        self._lingers_until: float | None = None

    def data_received(self, data: bytes) -> None:
        """Take bytes off the socket."""
        if self._lingers_until is not None:
            self._lingered_bytes += len(data)
            self._linger()
            return
        super().data_received(data)
        if self.conn.handshake_exc is not None:
            self.handshake_complete = self.close_sent = True
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    def handle_parser_exception(self) -> None:
        """Tell the peer why, tell the application, and linger."""
        if self.close_sent or self.conn.close_sent is None:
            self.transport.close()
            return
        sent = self.conn.close_sent
        self.queue.put_nowait(
            {"type": "websocket.disconnect", "code": sent.code, "reason": sent.reason}
        )
        self.close_sent = True
        self.transport.write(b"".join(self.conn.data_to_send()))
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self._lingers_until = self.loop.time() + LINGER_MOST_S
        self._linger()

    def _linger(self) -> None:
        """Close once the peer is quiet, or has had enough patience."""
        if self.close_timer is not None:
            self.close_timer.cancel()
        left_s = (self._lingers_until or 0.0) - self.loop.time()
        if left_s <= 0 or self._lingered_bytes > LINGER_BYTES:
            self.transport.close()
        else:
            pause_s = min(left_s, LINGER_IDLE_S)
            self.close_timer = self.loop.call_later(pause_s, self.transport.close)
