"""Who asks what and when: a recorded trace, or Poisson arrivals. Pure but for reading the file."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import isfinite
from pathlib import Path
from random import Random
from typing import Final

from apps.router.core.values import ServiceClass

_COLUMNS: Final = {
    "at": ("timestamp", "arrived_at", "arrival_time", "time", "at"),
    "prompt": (
        "contexttokens",
        "prompt_tokens",
        "request tokens",
        "input_tokens",
        "num_prefill_tokens",
    ),
    "answer": (
        "generatedtokens",
        "answer_tokens",
        "response tokens",
        "output_tokens",
        "completion_tokens",
        "num_decode_tokens",
    ),
}
_RECENT: Final = 200


class TraceError(Exception):
    """A trace can't be read; the message names the line."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request: when it comes (seconds from the beginning), how long it and its answer are."""

    at: float
    prompt_tokens: int
    answer_tokens: int
    user: str = "user:0"
    service_class: ServiceClass = ServiceClass.REGISTERED
    conversation: str = ""


def trace_read(path: Path, *, limit: int | None = None) -> list[Request]:
    """Read a trace: a time, a prompt's and an answer's tokens in each row. Raises TraceError."""
    requests: list[Request] = []
    with path.open(newline="") as file:
        rows = csv.reader(file)
        try:
            header = [name.strip().lower() for name in next(rows, [])]
            places = {field: _column(header, field) for field in _COLUMNS}
            while limit is None or len(requests) < limit:
                if (row := next(rows, None)) is None:
                    break
                if row:
                    requests.append(_request(row, places))
        except (ValueError, IndexError, OverflowError, csv.Error) as error:
            line = max(rows.line_num, 1)
            raise TraceError(f"{path.name}, line {line}: {error}") from error
    if not requests:
        raise TraceError(f"{path.name}: no requests in it")
    requests.sort(key=lambda request: request.at)
    return [replace(request, at=request.at - requests[0].at) for request in requests]


def _request(row: list[str], places: dict[str, int]) -> Request:
    prompt, answer = (max(1, int(float(row[places[field]]))) for field in ("prompt", "answer"))
    at = _seconds(row[places["at"]])
    if not isfinite(at):
        raise ValueError(f"no time: {row[places['at']]!r}")
    return Request(at, prompt, answer)


def poisson(*, count: int, prompt_tokens: int, answer_tokens: int, seed: int) -> list[Request]:
    """Make requests that come one a second on the average, with exponential lengths."""
    draws, at, requests = Random(seed), 0.0, []
    for _ in range(count):
        at += draws.expovariate(1.0)
        prompt = 1 + int(draws.expovariate(1 / prompt_tokens))
        answer = 1 + int(draws.expovariate(1 / answer_tokens))
        requests.append(Request(at, prompt, answer))
    return requests


def at_rate(requests: Sequence[Request], rate: float) -> list[Request]:
    """Stretch or press the times until `rate` requests come a second on the average."""
    lasts = requests[-1].at or 1.0
    factor = len(requests) / lasts / rate
    return [replace(request, at=request.at * factor) for request in requests]


def peopled(
    requests: Sequence[Request],
    *,
    users: int,
    demo_share: float,
    follow_ups: float,
    context_tokens: int,
    seed: int,
) -> list[Request]:
    """Give each request a user, a class and perhaps an earlier conversation; clip long prompts.

    A share `follow_ups` of the requests goes on with one of the latest conversations that fits
    into the prompt. Few users ask much and many ask little (weights 1 / rank).
    """
    draws = Random(seed)
    weights = [1 / rank for rank in range(1, users + 1)]
    names = draws.choices(range(users), weights, k=len(requests))
    recent: list[tuple[str, str, ServiceClass, int]] = []
    peopled_requests = []
    for number, (request, name) in enumerate(zip(requests, names, strict=True)):
        answer = min(request.answer_tokens, context_tokens // 2)
        prompt = min(request.prompt_tokens, context_tokens - answer - 1)
        is_demo = draws.random() < demo_share
        service_class = ServiceClass.DEMO if is_demo else ServiceClass.REGISTERED
        user = f"visitor:{number}" if is_demo else f"user:{name}"
        conversation = f"c{number}"
        fitting = [n for n, (_, _, _, tokens) in enumerate(recent) if tokens <= prompt]
        if fitting and draws.random() < follow_ups:
            earlier = recent.pop(draws.choice(fitting))
            conversation, user, service_class, _ = earlier
        recent.append((conversation, user, service_class, prompt + answer))
        del recent[:-_RECENT]
        peopled_requests.append(
            Request(request.at, prompt, answer, user, service_class, conversation)
        )
    return peopled_requests


def _column(header: list[str], field: str) -> int:
    for name in _COLUMNS[field]:
        if name in header:
            return header.index(name)
    raise TraceError(f"no column for {field}: one of {', '.join(_COLUMNS[field])} is needed")


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        # Seven decimals of a second are more than datetime reads.
        whole, _, fraction = text.strip().partition(".")
        digits = fraction.rstrip("Z").partition("+")[0]
        return datetime.fromisoformat(whole.rstrip("Z")).timestamp() + float(f"0.{digits or 0}")


def means(requests: Sequence[Request]) -> tuple[float, float]:
    """Return the mean prompt and answer in tokens."""
    count = len(requests)
    prompts = sum(request.prompt_tokens for request in requests)
    return prompts / count, sum(request.answer_tokens for request in requests) / count


def in_order(requests: Sequence[Request]) -> Iterator[tuple[int, Request]]:
    """Yield the requests with their numbers, earliest first."""
    yield from enumerate(sorted(requests, key=lambda request: request.at))
