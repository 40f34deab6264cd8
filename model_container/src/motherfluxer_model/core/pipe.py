"""What a container's main process and its engine's process say to each other. Pure.

A frame is four bytes of length and a msgpack list: everything that came up in one turn of the
event loop. A running job goes by its handle, a number that is never used twice.
"""

from typing import Any, Final, Generic, TypeVar

import msgspec
from msgspec import Struct

from motherfluxer_model.errors import PipeError
from motherfluxer_wire.fields import FailureCode, FinishReason
from motherfluxer_wire.frames import Job, Model, Timings, Usage

LENGTH_BYTES: Final = 4
MAX_FRAME_BYTES: Final = 64 * 1024 * 1024
Facts = dict[str, str | int | float]


class Message(Struct, frozen=True, array_like=True, tag=True):
    """One thing said."""


class Begin(Message, frozen=True):
    """Make the engine: `factory` is "module:name", called with the arguments; then load it."""

    factory: str
    arguments: dict[str, Any]


class Run(Message, frozen=True):
    """Answer a job."""

    handle: int
    job: Job


class Stop(Message, frozen=True):
    """Stop a job between two tokens."""

    handle: int


class Ping(Message, frozen=True):
    """Say that you live."""


class Ready(Message, frozen=True):
    """The engine is loaded."""

    models: list[Model]
    hardware: Facts


class Unfit(Message, frozen=True):
    """The engine cannot be loaded."""

    why: str


class Said(Message, frozen=True):
    """A piece of a job's answer."""

    handle: int
    text: str
    tokens: int
    token_ids: tuple[int, ...] | None = None


class Ended(Message, frozen=True):
    """A job's good end."""

    handle: int
    reason: FinishReason
    usage: Usage
    timings: Timings | None = None


class Failed(Message, frozen=True):
    """A job's bad end."""

    handle: int
    code: FailureCode
    why: str
    retryable: bool


class Pong(Message, frozen=True):
    """The process lives; `status` is the engine's."""

    status: Facts


ToHost = Begin | Run | Stop | Ping
FromHost = Ready | Unfit | Said | Ended | Failed | Pong
MessageT = TypeVar("MessageT")

_encoder = msgspec.msgpack.Encoder()
_to_host = msgspec.msgpack.Decoder(list[ToHost])
_from_host = msgspec.msgpack.Decoder(list[FromHost])


def pack(messages: list[Any]) -> bytes:
    """Write a frame."""
    buffer = bytearray(LENGTH_BYTES)
    _encoder.encode_into(messages, buffer, LENGTH_BYTES)
    buffer[:LENGTH_BYTES] = (len(buffer) - LENGTH_BYTES).to_bytes(LENGTH_BYTES, "big")
    return bytes(buffer)


class Unpacker(Generic[MessageT]):
    """Cuts a stream of bytes into messages."""

    def __init__(self, decoder: "msgspec.msgpack.Decoder[list[MessageT]]") -> None:
        self._decoder = decoder
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[MessageT]:
        """Give the messages that are whole by now. Raises PipeError."""
        self._buffer += data
        messages: list[MessageT] = []
        start, end = 0, len(self._buffer)
        while end - start >= LENGTH_BYTES:
            length = int.from_bytes(self._buffer[start : start + LENGTH_BYTES], "big")
            if length > MAX_FRAME_BYTES:
                raise PipeError(f"a frame of {length} bytes")
            following = start + LENGTH_BYTES + length
            if following > end:
                break
            messages += self._decode(start + LENGTH_BYTES, following)
            start = following
        del self._buffer[:start]
        return messages

    def _decode(self, start: int, end: int) -> list[MessageT]:
        try:
            with memoryview(self._buffer) as view:
                return self._decoder.decode(view[start:end])
        except msgspec.MsgspecError as error:
            raise PipeError(str(error)) from error


def unpacker_to_host() -> Unpacker[ToHost]:
    """Make what the engine's process reads with."""
    return Unpacker(_to_host)


def unpacker_from_host() -> Unpacker[FromHost]:
    """Make what the main process reads with."""
    return Unpacker(_from_host)
