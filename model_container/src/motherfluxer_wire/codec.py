"""Frames to text and back: the only way in and out. Pure."""

from collections.abc import Callable
from typing import TypeVar, get_args

import msgspec

from motherfluxer_wire import limits
from motherfluxer_wire.errors import WireError, WireRule
from motherfluxer_wire.frames import Frame, FromInstance, FromRouter

_encoder = msgspec.json.Encoder()
_from_instance: msgspec.json.Decoder[FromInstance] = msgspec.json.Decoder(FromInstance)
_from_router: msgspec.json.Decoder[FromRouter] = msgspec.json.Decoder(FromRouter)


class _Kind(msgspec.Struct):
    type: str = ""


_kind = msgspec.json.Decoder(_Kind)
_known_kinds = {
    frame.__struct_config__.tag for frame in get_args(FromInstance) + get_args(FromRouter)
}
FrameT = TypeVar("FrameT")


def encode(frame: Frame) -> str:
    """Write a frame as JSON text.

    Raises WireError when the text would be over MAX_FRAME_BYTES or holds a lone surrogate.
    """
    try:
        data = _encoder.encode(frame)
    except UnicodeEncodeError as error:
        raise WireError(WireRule.INVALID_UTF8, "a lone surrogate is no character") from error
    if len(data) > limits.MAX_FRAME_BYTES:
        raise WireError(WireRule.FRAME_TOO_LARGE, f"over {limits.MAX_FRAME_BYTES} bytes")
    return data.decode()


def decode_from_instance(data: str | bytes) -> FromInstance:
    """Read what an instance sent. Raises WireError and nothing else."""
    return _decode(_from_instance.decode, data)


def decode_from_router(data: str | bytes) -> FromRouter:
    """Read what the router sent. Raises WireError and nothing else."""
    return _decode(_from_router.decode, data)


def _decode(decode: Callable[[bytes], FrameT], data: str | bytes) -> FrameT:
    try:
        raw = data.encode() if isinstance(data, str) else data
        if len(raw) > limits.MAX_FRAME_BYTES:
            raise WireError(WireRule.FRAME_TOO_LARGE, f"over {limits.MAX_FRAME_BYTES} bytes")
        return decode(raw)
    except msgspec.ValidationError as error:
        raise WireError(_broken_rule(raw), str(error)) from error
    except UnicodeError as error:
        raise WireError(WireRule.INVALID_UTF8, "text that is not UTF-8") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise WireError(WireRule.INVALID_JSON, str(error)) from error


def _broken_rule(raw: bytes) -> WireRule:
    try:
        kind = _kind.decode(raw).type
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return WireRule.INVALID_FRAME
    return WireRule.INVALID_FRAME if kind in _known_kinds else WireRule.UNKNOWN_TYPE
