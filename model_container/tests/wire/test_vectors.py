"""The golden vectors: what both sides of the wire must read, write and refuse."""

import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any, get_args

import pytest

from motherfluxer_wire import codec, limits
from motherfluxer_wire.errors import WireError, WireRule
from motherfluxer_wire.frames import Frame, FromInstance, FromRouter

Vector = dict[str, Any]
VECTORS: list[Vector] = json.loads(files("motherfluxer_wire").joinpath("vectors.json").read_text())
DECODERS: dict[str, Callable[[str | bytes], Frame]] = {
    "from_instance": codec.decode_from_instance,
    "from_router": codec.decode_from_router,
}


def name(vector: Vector) -> str:
    return str(vector["name"])


@pytest.mark.parametrize("vector", [v for v in VECTORS if v.get("ok")], ids=name)
def test_good_vector_is_read_and_written_again(vector: Vector) -> None:
    decode = DECODERS[vector["direction"]]
    frame = decode(vector["text"])
    written = codec.encode(frame)
    assert written == vector.get("again", vector["text"])
    assert decode(written) == frame
    assert decode(vector["text"].encode()) == frame


@pytest.mark.parametrize("vector", [v for v in VECTORS if not v.get("ok")], ids=name)
def test_broken_vector_is_refused_by_name(vector: Vector) -> None:
    with pytest.raises(WireError) as caught:
        DECODERS[vector["direction"]](vector["text"])
    assert caught.value.rule == WireRule(vector["rule"])
    assert caught.value.close_reason.startswith(f"{vector['rule']}: ")


def test_vectors_cover_every_frame_of_both_directions() -> None:
    covered = {
        (vector["direction"], json.loads(vector["text"])["type"])
        for vector in VECTORS
        if vector.get("ok")
    }
    assert covered == {
        (direction, frame.__struct_config__.tag)
        for direction, frames in (("from_instance", FromInstance), ("from_router", FromRouter))
        for frame in get_args(frames)
    }


@pytest.mark.parametrize("decode", DECODERS.values(), ids=DECODERS)
def test_frame_of_ten_megabytes_is_refused(decode: Callable[[str | bytes], Frame]) -> None:
    text = '{"type":"drain","reason":"' + "x" * 10_000_000 + '"}'
    with pytest.raises(WireError) as caught:
        decode(text)
    assert caught.value.rule is WireRule.FRAME_TOO_LARGE


@pytest.mark.parametrize("decode", DECODERS.values(), ids=DECODERS)
def test_bytes_that_are_no_utf8_are_refused(decode: Callable[[str | bytes], Frame]) -> None:
    with pytest.raises(WireError):
        decode(b'{"type":"drain","reason":"\xff"}')


def test_largest_frame_that_may_be_sent_may_be_received() -> None:
    empty = len('{"type":"cancel","job":"j","attempt":1,"reason":""}')
    text = '{"type":"cancel","job":"j","attempt":1,"reason":""'
    padded = text + " " * (limits.MAX_FRAME_BYTES - empty) + "}"
    assert len(padded) == limits.MAX_FRAME_BYTES
    codec.decode_from_router(padded)
    with pytest.raises(WireError):
        codec.decode_from_router(padded + " ")
