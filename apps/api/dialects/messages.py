"""Anthropic's Messages API: a body read strictly into a question. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from apps.api.dialects.base import Answer, Dialect, Head, Question
from apps.api.dialects.content import Content, TextPart, content_read
from apps.api.dialects.messages_answers import (
    MessageEventWriter,
    message_body,
    messages_error_body,
)
from apps.api.reading import (
    TokenCount,
    TopP,
    model_name_read,
    neutral_left_out,
    object_read,
    refuse_invalid,
    stops_read,
    struct_convert,
)
from motherfluxer_wire.fields import Role
from motherfluxer_wire.frames import Message, Sampling

# What is true of every answer here: one text, drawn without tools and without thinking apart.
NEUTRAL: Final[dict[str, tuple[object, ...]]] = {
    "mcp_servers": ([],),
    "output_config": ({},),
    "service_tier": ("auto", "standard_only"),
    "speed": ("standard",),
    "thinking": ({"type": "disabled"},),
    "tool_choice": ({"type": "auto"}, {"type": "none"}),
    "tools": ([],),
}


class CacheControl(Struct, frozen=True):
    """A hint at what comes again; an instance keeps what it can of every conversation."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] = "5m"


class Metadata(Struct, frozen=True):
    """The client's own note: read, checked, and not kept."""

    user_id: str | None = None


class MessagesBody(Struct, frozen=True, kw_only=True):
    """The body of a message: every parameter that is understood, but the neutral ones."""

    model: Annotated[str, Meta(min_length=1)]
    messages: Annotated[list[dict[str, Any]], Meta(min_length=1)]
    max_tokens: TokenCount
    system: Content = ""
    stop_sequences: list[str] | None = None
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_p: TopP | None = None
    stream: bool = False
    metadata: dict[str, Any] | None = None
    cache_control: dict[str, Any] | None = None


class Turn(Struct, frozen=True):
    """One turn, its content whole or in blocks."""

    role: Role
    content: Content


class TextBlock(TextPart, frozen=True):
    """A block of a turn's content."""

    neutral = {"citations": ([],)}

    cache_control: dict[str, Any] | None = None

    def check(self, where: str) -> None:
        """Refuse a hint that is none. Raises ApiError."""
        _cache_control_check(self.cache_control, f"{where}.cache_control")


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesQuestion(Question):
    """A message that is asked for."""

    def body(self, answer: Answer) -> object:
        """Return a message."""
        return message_body(answer)

    def writer(self, head: Head) -> MessageEventWriter:
        """Return what writes its events."""
        return MessageEventWriter(head)


def messages_question_read(body: bytes) -> MessagesQuestion:
    """Read a message's body. Raises ApiError and nothing else."""
    read = struct_convert(neutral_left_out(object_read(body), NEUTRAL), MessagesBody)
    struct_convert(read.metadata or {}, Metadata, "metadata")
    _cache_control_check(read.cache_control, "cache_control")
    turns, beginning = _without_beginning([_turn(t, n) for n, t in enumerate(read.messages)])
    return MessagesQuestion(
        model=model_name_read(read.model),
        messages=(*_system(read), *turns),
        sampling=Sampling(
            max_tokens=read.max_tokens,
            temperature=read.temperature,
            top_p=read.top_p,
            stop=stops_read(read.stop_sequences, "stop_sequences"),
        ),
        is_streamed=read.stream,
        beginning=beginning,
    )


MESSAGES: Final = Dialect(
    read=messages_question_read,
    error_body=messages_error_body,
    request_id_headers=(b"x-request-id", b"request-id"),
)


def _system(body: MessagesBody) -> list[Message]:
    text = content_read(body.system, "system", TextBlock)
    return [Message("system", text)] if text else []


def _turn(found: Mapping[str, Any], number: int) -> Message:
    where = f"messages[{number}]"
    turn = struct_convert(found, Turn, where)
    return Message(turn.role, content_read(turn.content, f"{where}.content", TextBlock))


def _without_beginning(turns: list[Message]) -> tuple[list[Message], str]:
    """Take off a last turn of the assistant: the answer goes on from it."""
    last, at = turns[-1], f"messages[{len(turns) - 1}].content"
    if not last.content:
        refuse_invalid("must not be empty", at)
    if last.role != "assistant":
        return turns, ""
    if len(turns) == 1:
        refuse_invalid("must hold a turn before the answer's beginning", "messages")
    if last.content[-1].isspace():
        refuse_invalid("must not end in white space, since the answer goes on from it", at)
    return turns[:-1], last.content


def _cache_control_check(found: Mapping[str, Any] | None, where: str) -> None:
    if found is not None:
        struct_convert(found, CacheControl, where)
