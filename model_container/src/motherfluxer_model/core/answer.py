"""What an engine says about one job: pieces, then one ending. Pure."""

from dataclasses import dataclass

from motherfluxer_wire.fields import FailureCode, FinishReason
from motherfluxer_wire.frames import Timings, Usage


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole tokens as whole characters; `token_ids` is None where they do not tell the text."""

    text: str
    tokens: int
    token_ids: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """The attempt's good end."""

    reason: FinishReason
    usage: Usage
    timings: Timings | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The attempt's bad end."""

    code: FailureCode
    message: str
    retryable: bool


Ending = Finished | Refused
