"""The language between the container's two processes: whole again however it is cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motherfluxer_model.core.pipe import (
    LENGTH_BYTES,
    MAX_FRAME_BYTES,
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
    ToHost,
    Unfit,
    pack,
    unpacker_from_host,
    unpacker_to_host,
)
from motherfluxer_model.errors import PipeError
from motherfluxer_model.testing.router import make_job
from motherfluxer_wire.frames import Model, Sampling, Timings, Usage

MODEL = Model(name="m", context_tokens=9, max_output_tokens=3, capabilities=["chat"])
TO_HOST: list[ToHost] = [
    Begin("module:name", {"model": "m", "threads": 0, "revision": None}),
    Run(1, make_job(text="Grüße 😀", sampling=Sampling(stop=["x"]), prefix_token_ids=[1, 2])),
    Stop(1),
    Ping(),
]
FROM_HOST: list[FromHost] = [
    Ready([MODEL], {"device": "cpu", "cpu_count": 2}),
    Unfit("no such folder"),
    Said(1, "日本", 2, (5, 6)),
    Said(2, "x", 1),
    Ended(1, "stop", Usage(3, 2, 1), Timings(prefill_ms=1.5)),
    Failed(2, "engine_error", "it broke", retryable=True),
    Pong({"steps": 7}),
]


def test_every_message_comes_over_as_it_was() -> None:
    assert unpacker_to_host().feed(pack(TO_HOST)) == TO_HOST
    assert unpacker_from_host().feed(pack(FROM_HOST)) == FROM_HOST


@given(st.lists(st.integers(0, 600)), st.lists(st.sampled_from(FROM_HOST)))
def test_messages_are_whole_wherever_the_stream_is_cut(
    cuts: list[int], messages: list[FromHost]
) -> None:
    data = pack(messages[:2]) + pack(messages[2:])
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    unpacker, came = unpacker_from_host(), list[FromHost]()
    for start, end in pairwise(places):
        came += unpacker.feed(data[start:end])
    assert came == messages


@pytest.mark.parametrize(
    "data",
    [
        (MAX_FRAME_BYTES + 1).to_bytes(LENGTH_BYTES, "big"),
        b"\0\0\0\1\xc1",
        pack([["Dance"]]),
        pack([["Said", "no handle"]]),
        pack(TO_HOST[:1]),
    ],
)
def test_nonsense_is_refused(data: bytes) -> None:
    with pytest.raises(PipeError):
        unpacker_from_host().feed(data)
