"""The parameters that OpenAI's dialects share, each with what it may be. Pure."""

from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from apps.api.reading import (
    Penalty,
    Seed,
    Temperature,
    TokenCount,
    TopP,
    neutral_left_out,
    refuse_invalid,
    stops_read,
    struct_convert,
)
from motherfluxer_wire.fields import Stops
from motherfluxer_wire.frames import Sampling

Metadata = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]],
    Meta(max_length=16),
]

# What clients send although nothing changes by it, with the values for which that is so.
SHARED_NEUTRAL: Final[dict[str, tuple[object, ...]]] = {"n": (1,), "logit_bias": ({},)}
NEUTRAL_OPTIONS: Final = {"include_obfuscation": (False,)}


class StreamOptions(Struct, frozen=True):
    """How a streamed answer is told."""

    include_usage: bool = False


class SharedBody(Struct, frozen=True, kw_only=True):
    """What chat completions and completions take.

    `user` is the client's own note: read, checked, and not kept.
    """

    model: Annotated[str, Meta(min_length=1)]
    stream: bool = False
    stream_options: dict[str, Any] | None = None
    stop: str | Stops | None = None
    seed: Seed | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    max_tokens: TokenCount | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    user: str | None = None

    def sampling(self, max_tokens: int | None) -> Sampling:
        """Return how the answer is drawn. Raises ApiError."""
        return Sampling(
            max_tokens=max_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            stop=stops_read(self.stop, "stop"),
            seed=self.seed,
            frequency_penalty=self.frequency_penalty,
            presence_penalty=self.presence_penalty,
        )

    def includes_usage(self) -> bool:
        """Tell whether a stream ends with its usage. Raises ApiError."""
        if self.stream_options is None:
            return False
        given = neutral_left_out(self.stream_options, NEUTRAL_OPTIONS, "stream_options")
        options = struct_convert(given, StreamOptions, "stream_options")
        if not self.stream:
            refuse_invalid("is allowed only together with stream", "stream_options")
        return options.include_usage
