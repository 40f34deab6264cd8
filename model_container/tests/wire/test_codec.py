"""Whatever comes in, the codec gives a frame or one kind of error."""

import contextlib
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motherfluxer_wire import codec, limits
from motherfluxer_wire.errors import WireError, WireRule
from motherfluxer_wire.frames import (
    Ack,
    Batch,
    Cancel,
    Chunk,
    Done,
    Drain,
    Failed,
    FromInstance,
    FromRouter,
    Heartbeat,
    Hello,
    Job,
    Load,
    Message,
    Model,
    Resume,
    ResumeOffer,
    Sampling,
    Timings,
    Usage,
    Welcome,
)

counts = st.integers(0, limits.MAX_INTEGER)
attempts = st.integers(1, limits.MAX_INTEGER)
slots = st.integers(1, limits.MAX_SLOTS_COUNT)
texts = st.text(st.characters(codec="utf-8"), max_size=40)
job_ids = st.text("abcdef0123456789-", min_size=1, max_size=64)
shares = st.none() | st.floats(0, 1)
milliseconds = st.none() | st.floats(0, 1e12)
models = st.builds(
    Model,
    name=st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}\Z"),
    context_tokens=attempts,
    max_output_tokens=attempts,
    revision=texts,
    capabilities=st.lists(texts, max_size=4),
    fingerprint=st.none() | texts,
)
chunks = st.builds(
    Chunk,
    job=job_ids,
    attempt=attempts,
    seq=counts,
    text=texts,
    tokens=counts,
    token_ids=st.none() | st.lists(counts, max_size=5),
)
endings = st.builds(
    Done,
    job=job_ids,
    attempt=attempts,
    seq=counts,
    finish_reason=st.sampled_from(["stop", "length", "cancelled"]),
    usage=st.builds(
        Usage,
        prompt_tokens=counts,
        completion_tokens=counts,
        cached_tokens=st.none() | counts,
    ),
    timings=st.none()
    | st.builds(Timings, queue_ms=milliseconds, prefill_ms=milliseconds, decode_ms=milliseconds),
)
failures = st.builds(
    Failed,
    job=job_ids,
    attempt=attempts,
    seq=counts,
    code=st.sampled_from(["bad_request", "context_overflow", "unsupported", "engine_error"]),
    message=texts,
    retryable=st.booleans(),
)
hellos = st.builds(
    Hello,
    agent=texts,
    instance=st.from_regex(r"\A[a-z0-9-]{1,64}\Z"),
    models=st.lists(models, min_size=1, max_size=3),
    slots=slots,
    region=st.none() | texts,
    hardware=st.none() | st.dictionaries(texts, counts | texts, max_size=3),
    resume=st.lists(
        st.builds(ResumeOffer, job=job_ids, attempt=attempts, next_seq=counts, state=texts),
        max_size=3,
    ),
)
heartbeats = st.builds(
    Heartbeat,
    running=st.lists(job_ids, max_size=3),
    slots=slots,
    tokens_per_s=st.none() | st.floats(0, 1e9),
    load=st.none() | st.builds(Load, cpu=shares, memory=shares, gpu=shares, kv_cache=shares),
)
batches = st.builds(Batch, frames=st.lists(chunks | endings | failures, max_size=4))
samplings = st.builds(
    Sampling,
    max_tokens=st.none() | attempts,
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0, 1, exclude_min=True),
    stop=st.none() | st.lists(texts.filter(bool), max_size=3),
    seed=st.none() | st.integers(-(2**63), 2**63 - 1),
    frequency_penalty=st.none() | st.floats(-2, 2),
    presence_penalty=st.none() | st.floats(-2, 2),
)
jobs = st.builds(
    Job,
    job=job_ids,
    attempt=attempts,
    model=st.just("phi-2"),
    messages=st.lists(
        st.builds(Message, role=st.sampled_from(["system", "user", "assistant"]), content=texts),
        max_size=3,
    ),
    prefix=texts,
    sampling=samplings,
    deadline_ms=counts,
    service_class=st.sampled_from(["registered", "demo", "probe"]),
    revision=st.none() | texts,
    prefix_token_ids=st.none() | st.lists(counts, max_size=5),
)
welcomes = st.builds(
    Welcome,
    protocol=st.just(limits.PROTOCOL),
    session=texts,
    heartbeat_s=st.floats(0.001, 3600),
    resume=st.lists(st.builds(Resume, job=job_ids, attempt=attempts, from_seq=counts), max_size=3),
    drop=st.lists(job_ids, max_size=3),
    warnings=st.lists(texts, max_size=3),
)
orders = (
    st.builds(Cancel, job=job_ids, attempt=attempts, reason=texts)
    | st.builds(Ack, job=job_ids, attempt=attempts, seq=counts)
    | st.builds(Drain, reason=texts)
)


@given(hellos | heartbeats | chunks | batches | endings | failures)
def test_what_an_instance_writes_the_router_reads(frame: FromInstance) -> None:
    assert codec.decode_from_instance(codec.encode(frame)) == frame


@given(welcomes | jobs | orders)
def test_what_the_router_writes_an_instance_reads(frame: FromRouter) -> None:
    assert codec.decode_from_router(codec.encode(frame)) == frame


@given(st.binary() | st.text())
def test_any_data_is_a_frame_or_a_wire_error(data: str | bytes) -> None:
    for decode in (codec.decode_from_instance, codec.decode_from_router):
        with contextlib.suppress(WireError):
            decode(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
kinds = [f.__struct_config__.tag for f in get_args(FromInstance) + get_args(FromRouter)]
fields = sorted(
    {
        name
        for f in get_args(Job | Chunk | Done | Hello | Welcome)
        for name in f.__struct_encode_fields__
    }
)


@given(st.sampled_from(kinds), st.dictionaries(st.sampled_from(fields), json_values))
def test_any_object_of_a_known_type_is_a_frame_or_a_wire_error(
    kind: str, body: dict[str, Any]
) -> None:
    data = msgspec.json.encode({**body, "type": kind})
    for decode in (codec.decode_from_instance, codec.decode_from_router):
        with contextlib.suppress(WireError):
            decode(data)


def test_lone_surrogate_cannot_be_sent() -> None:
    with pytest.raises(WireError) as caught:
        codec.encode(Chunk(job="j", attempt=1, seq=0, text="\ud800", tokens=1))
    assert caught.value.rule is WireRule.INVALID_UTF8


def test_too_long_a_text_cannot_be_sent() -> None:
    with pytest.raises(WireError) as caught:
        codec.encode(Chunk(job="j", attempt=1, seq=0, text="x" * limits.MAX_FRAME_BYTES, tokens=1))
    assert caught.value.rule is WireRule.FRAME_TOO_LARGE


def test_close_reason_cuts_no_character() -> None:
    reason = WireError(WireRule.INVALID_FRAME, "é" * 200).close_reason
    assert len(reason.encode()) <= 123
    assert "\ufffd" not in reason
