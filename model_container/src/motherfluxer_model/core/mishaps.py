"""What a server's refusal means for one job. Pure."""

import json
import re
from typing import Any, Final

from motherfluxer_model.errors import GenerationError
from motherfluxer_wire.limits import MAX_NOTE_CHARS

WORDS_CHARS: Final = 500
_ASKED_WRONG: Final = frozenset({400, 413, 422})
_BUSY: Final = frozenset({408, 409, 425, 429, 503, 529})
_OVERFLOW: Final = re.compile(
    r"context.{0,20}(length|window|size|limit)|maximum.{0,40}(length|tokens)|max_model_len|n_ctx"
    r"|(prompt|input|conversation|request).{0,40}too (long|large|many tokens)"
    r"|too many (input |prompt )?tokens|exceeds?.{0,60}(tokens?|context)|tokens?.{0,60}exceed",
    re.IGNORECASE | re.DOTALL,
)
_NO_MODEL: Final = re.compile(
    r"model.{0,200}(not found|does not exist|not exist|unknown|not a valid|no such)"
    r"|(unknown|no such|invalid) model|is pinned to",
    re.IGNORECASE | re.DOTALL,
)


def judge_status(status: int, body: str) -> GenerationError:
    """Turn an HTTP refusal into the job's failure."""
    words = f"the server behind this instance answered {status}: {find_words(body)}"
    is_overflow = _OVERFLOW.search(body) is not None and "rate limit" not in body.lower()
    if is_overflow and (status in _ASKED_WRONG or status == 500):
        return _failure("context_overflow", words)
    if status == 404 or (status in _ASKED_WRONG and _NO_MODEL.search(body)):
        return _failure("unsupported", words)
    if status in _ASKED_WRONG:
        return _failure("bad_request", words)
    if status in _BUSY:
        return _failure("overloaded", words)
    return _failure("engine_error", words)


def judge_event(data: str) -> GenerationError:
    """Turn an error inside a stream into the job's failure; it may name a status."""
    try:
        told = json.loads(data)
    except ValueError:
        told = None
    error = told.get("error", told) if isinstance(told, dict) else told
    code = error.get("code") if isinstance(error, dict) else None
    if isinstance(code, str) and code.isdecimal():
        code = int(code)
    status = code if isinstance(code, int) and 400 <= code < 600 else 500
    return judge_status(status, data)


def broken(words: str) -> GenerationError:
    """Make the failure of an answer that broke off for no reason of the job's."""
    return _failure("engine_error", words)


def find_words(body: str) -> str:
    """Give the message inside an error's body, whichever of the usual forms it has."""
    try:
        found: Any = json.loads(body)
    except ValueError:
        found = body
    for key in ("error", "message", "detail"):
        if isinstance(found, dict) and key in found:
            found = found[key]
    text = found if isinstance(found, str) else json.dumps(found)
    return " ".join(text.split())[:WORDS_CHARS] or "no words"


def _failure(code: Any, words: str) -> GenerationError:
    is_retryable = code in ("overloaded", "engine_error")
    return GenerationError(code, words[:MAX_NOTE_CHARS], retryable=is_retryable)
