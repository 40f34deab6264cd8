"""A request that is sent again gets the answer of the first, not a second job.

The client names both by the same `Idempotency-Key`. Answers are kept in the process where the job
was handed in; `named_jobs` leads there from others. Room is limited: the API key that takes most of
it gives its oldest up first.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from apps.api.conf import CONF
from apps.api.errors import ApiError
from apps.api.exchange import Exchange
from apps.api.jobs import ApiJob
from apps.router.errors import ErrorCode

_HEADER: Final = b"idempotency-key"
_SHOWN: Final = "Idempotency-Key"


def idempotency_key(exchange: Exchange) -> str | None:
    """Return the name that the client gave its request; None when it gave none. Raises ApiError."""
    values = exchange.header_values(_HEADER)
    if not values:
        return None
    [value] = values if len(values) == 1 else [""]
    is_visible = value.isascii() and value.isprintable() and " " not in value
    if not is_visible or not 1 <= len(value) <= CONF.idempotency_key_chars:
        words = f"{_SHOWN} must be once 1 to {CONF.idempotency_key_chars} visible characters."
        raise ApiError(ErrorCode.INVALID_REQUEST, words, param=_SHOWN)
    return value


def request_digest(exchange: Exchange, body: bytes) -> bytes:
    """Return what tells a request that is sent again from another one under the same name."""
    return sha256(exchange.path.encode() + b"\0" + body).digest()


def reused_error() -> ApiError:
    """Return what is said of a name that another request bore before."""
    words = f"This {_SHOWN} was used for another request. Each needs one of its own."
    return ApiError(ErrorCode.IDEMPOTENCY_KEY_REUSED, words, param=_SHOWN)


@dataclass(slots=True)
class _Kept:
    """An answer, whose request it was, and how much room it takes."""

    job: ApiJob
    digest: bytes
    chars: int
    expiry: asyncio.TimerHandle


@dataclass(slots=True)
class _Shelf:
    """What is kept for one API key, oldest first."""

    kept: OrderedDict[str, _Kept] = field(default_factory=OrderedDict)
    chars: int = 0


class KeptAnswers:
    """The answers of named requests, running ones included, each for a while.

    chars: how much room all of them take.
    """

    def __init__(self) -> None:
        self._shelves: dict[str, _Shelf] = {}
        self.chars = 0

    def find(self, key_id: str, name: str, digest: bytes) -> ApiJob | None:
        """Return the job of the same request; None when there is none whose answer can be had.

        Raises ApiError when it was another request.
        """
        shelf = self._shelves.get(key_id)
        kept = shelf.kept.get(name) if shelf is not None else None
        if kept is None or kept.job.has_failed:
            return None
        if kept.digest != digest:
            raise reused_error()
        return kept.job

    def keep(self, key_id: str, name: str, digest: bytes, job: ApiJob) -> None:
        """Keep a job's answer from now on."""
        self._drop(key_id, name)
        loop = asyncio.get_running_loop()
        expiry = loop.call_later(CONF.answer_kept_s, self._expire, key_id, name, job)
        shelf = self._shelves.setdefault(key_id, _Shelf())
        kept = shelf.kept[name] = _Kept(job, digest, 0, expiry)
        self._weigh(shelf, kept)
        job.when_settled = lambda: self._settled(key_id, name, job)

    def _settled(self, key_id: str, name: str, job: ApiJob) -> None:
        """Count an answer's own room, or let it go when it is none."""
        shelf = self._shelves.get(key_id)
        kept = shelf.kept.get(name) if shelf is not None else None
        if shelf is None or kept is None or kept.job is not job:
            return
        if job.has_failed:
            self._drop(key_id, name)
        else:
            self._weigh(shelf, kept)

    def _weigh(self, shelf: _Shelf, kept: _Kept) -> None:
        stream = kept.job.stream
        more = CONF.kept_least_chars + stream.request.chars + len(stream.text) - kept.chars
        kept.chars += more
        shelf.chars += more
        self.chars += more
        while self.chars > CONF.kept_most_chars:
            key_id, heaviest = max(self._shelves.items(), key=lambda item: item[1].chars)
            self._drop(key_id, next(iter(heaviest.kept)))

    def _expire(self, key_id: str, name: str, job: ApiJob) -> None:
        shelf = self._shelves.get(key_id)
        if shelf is not None and name in shelf.kept and shelf.kept[name].job is job:
            self._drop(key_id, name)

    def _drop(self, key_id: str, name: str) -> None:
        shelf = self._shelves.get(key_id)
        kept = shelf.kept.pop(name, None) if shelf is not None else None
        if shelf is None or kept is None:
            return
        kept.expiry.cancel()
        kept.job.when_settled = None
        shelf.chars -= kept.chars
        self.chars -= kept.chars
        if not shelf.kept:
            del self._shelves[key_id]


KEPT: Final = KeptAnswers()
