"""Frames that no instance should send: some break a rule, some only mean harm."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Job = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fatal:
    """A frame that ends its connection."""

    frame: bytes
    is_text: bool = True


def fatal_frames() -> list[Fatal]:
    """List one frame of each kind that breaks a rule."""
    chunk = {"type": "chunk", "job": "j", "attempt": 1, "seq": 0, "text": "x", "tokens": 1}
    broken: list[Any] = [
        [],
        None,
        17,
        {},
        {"type": None},
        {"type": "welcome"},
        {"type": "job", "job": "j", "attempt": 1, "model": "x", "messages": []},
        {"type": "heartbeat"},
        {"type": "heartbeat", "running": [[]], "slots": 1},
        {"type": "heartbeat", "running": [], "slots": 257},
        {"type": "heartbeat", "running": ["x" * 65], "slots": 1},
        {"type": "models", "models": [{"name": "x"}], "slots": 1},
        {"type": "batch", "frames": [{"type": "batch", "frames": []}]},
        {"type": "batch", "frames": [chunk, {"type": "hello"}]},
        {**chunk, "seq": -1},
        {**chunk, "seq": 2**63},
        {**chunk, "attempt": 1.5},
        {**chunk, "text": 1},
        {**chunk, "tokens": "1"},
        {**chunk, "token_ids": ["x"]},
        {"type": "done", "job": "j", "attempt": 1, "seq": 0, "finish_reason": "bored"},
        {"type": "failed", "job": "j", "attempt": 1, "seq": 0, "code": "?", "message": ""},
    ]
    raw = [
        b"",
        b"{",
        b"\x00",
        b"NaN",
        b'{"type": "heartbeat", "running": [], "slots": NaN}',
        b'{"type": "chunk", "text": "\\ud83d"}',
        b'{"type": "draining"} {"type": "draining"}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        '{"type": "draining", "note": "ü'.encode()[:-1],
        b"\xff\xfe\xfd",
        b"x" * 1_100_000,
    ]
    return [
        *(Fatal(json.dumps(frame).encode()) for frame in broken),
        *(Fatal(frame) for frame in raw),
        Fatal(b'{"type": "draining"}', is_text=False),
    ]


def hostile_frames(seed: int, jobs: Sequence[Job], *, count: int) -> Iterator[bytes]:
    """Yield frames that break no rule and speak of jobs that are not the sender's."""
    draw = random.Random(seed)  # noqa: S311 # garbage need not be secret
    for _ in range(count):
        known = draw.choice(jobs) if jobs else {"job": "nobody's", "attempt": 1}
        ids = {"job": known["job"], "attempt": draw.choice([known["attempt"], 1, 2, 2**53 - 1])}
        seq = draw.choice([0, 1, 7, 59, 2**53 - 1])
        usage = {"prompt_tokens": 2**53 - 1, "completion_tokens": 0}
        chunk = {"type": "chunk", **ids, "seq": seq, "text": "GARBAGE", "tokens": 1}
        done = {"type": "done", **ids, "seq": seq, "finish_reason": "stop", "usage": usage}
        failed = {"type": "failed", **ids, "seq": seq, "message": "GARBAGE", "retryable": False}
        model = {"name": "x", "context_tokens": 1, "max_output_tokens": 1}
        frame: dict[str, Any] = draw.choice(
            [
                chunk,
                done,
                {**done, "finish_reason": "cancelled"},
                {**failed, "code": draw.choice(["bad_request", "engine_error", "overloaded"])},
                {"type": "heartbeat", "running": [known["job"]], "slots": 1, "load": {"cpu": 1}},
                {"type": "heartbeat", "running": [], "slots": 256, "tokens_per_s": 1e9},
                {"type": "batch", "frames": [chunk, done, chunk]},
                {"type": "models", "models": [model], "slots": 256, "extra": [[[]]]},
                {"type": "models", "models": [], "slots": 1},
                {"type": "draining"},
            ]
        )
        yield json.dumps(frame).encode()
