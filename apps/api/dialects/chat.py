"""Chat completions: a body read strictly into a question. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from apps.api.dialects.base import Answer, Dialect, Head, Question
from apps.api.dialects.chat_answers import ChatEventWriter, chat_completion_body
from apps.api.reading import (
    SHOWN_CHARS,
    Penalty,
    Seed,
    Temperature,
    TokenCount,
    TopP,
    model_name_read,
    object_read,
    refuse_invalid,
    refuse_unsupported,
    stops_read,
    struct_convert,
    text_check,
)
from motherfluxer_wire.fields import Role, Stops
from motherfluxer_wire.frames import Message, Sampling


class StreamOptions(Struct, frozen=True):
    """How a streamed answer is told."""

    include_usage: bool = False
    include_obfuscation: Literal[False] = False


class ResponseFormat(Struct, frozen=True):
    """What form the answer has: text."""

    type: str


class ChatMessage(Struct, frozen=True):
    """One turn, its content whole or in parts."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[dict[str, Any]]


class TextPart(Struct, frozen=True):
    """A part of a turn's content."""

    type: str
    text: str


class ChatBody(Struct, frozen=True):
    """The body of a chat completion: every parameter that is understood.

    `user` and `metadata` are the client's own notes: read, checked, and not kept.
    """

    model: Annotated[str, Meta(min_length=1)]
    messages: Annotated[list[dict[str, Any]], Meta(min_length=1)]
    stream: bool = False
    stream_options: dict[str, Any] | None = None
    n: Annotated[int, Meta(ge=1)] = 1
    stop: str | Stops | None = None
    seed: Seed | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    max_tokens: TokenCount | None = None
    max_completion_tokens: TokenCount | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None
    response_format: dict[str, Any] | None = None
    logprobs: bool = False
    store: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatQuestion(Question):
    """A chat completion that is asked for."""

    includes_usage: bool

    def body(self, answer: Answer) -> object:
        """Return a chat completion."""
        return chat_completion_body(answer)

    def writer(self, head: Head) -> ChatEventWriter:
        """Return what writes its chunks."""
        return ChatEventWriter(head, includes_usage=self.includes_usage)


def chat_question_read(body: bytes) -> ChatQuestion:
    """Read a chat completion's body. Raises ApiError and nothing else."""
    read = struct_convert(object_read(body), ChatBody)
    _refuse_other_forms(read)
    options = struct_convert(read.stream_options or {}, StreamOptions, "stream_options")
    if read.stream_options is not None and not read.stream:
        refuse_invalid("is allowed only together with stream", "stream_options")
    messages = tuple(_message(m, f"messages[{n}]") for n, m in enumerate(read.messages))
    if not messages[-1].content:
        refuse_invalid("must not be empty", f"messages[{len(messages) - 1}].content")
    return ChatQuestion(
        model=model_name_read(read.model),
        messages=messages,
        sampling=_sampling(read),
        is_streamed=read.stream,
        includes_usage=options.include_usage,
    )


CHAT: Final = Dialect(read=chat_question_read)


def _refuse_other_forms(body: ChatBody) -> None:
    if body.n != 1:
        refuse_unsupported("n", "One answer is given to a request: n must be 1.")
    if body.logprobs:
        refuse_unsupported("logprobs", "Log-probabilities are not given: logprobs must be false.")
    if body.store:
        refuse_unsupported("store", "Answers to API requests are not stored: store must be false.")
    if body.response_format is not None:
        form = struct_convert(body.response_format, ResponseFormat, "response_format")
        if form.type != "text":
            refuse_unsupported("response_format", "Answers are text: response_format must be that.")


def _message(found: Mapping[str, Any], where: str) -> Message:
    turn = struct_convert(found, ChatMessage, where)
    at = f"{where}.content"
    if isinstance(turn.content, str):
        text = text_check(turn.content, at)
    else:
        text = "".join(_part_text(part, f"{at}[{n}]") for n, part in enumerate(turn.content))
    role: Role = "system" if turn.role == "developer" else turn.role
    return Message(role, text)


def _part_text(found: Mapping[str, Any], where: str) -> str:
    kind = found.get("type")
    if isinstance(kind, str) and kind != "text":
        refuse_unsupported(f"{where}.type", f"Only text can be read, not {kind[:SHOWN_CHARS]!r}.")
    return text_check(struct_convert(found, TextPart, where).text, f"{where}.text")


def _sampling(body: ChatBody) -> Sampling:
    limits = {body.max_tokens, body.max_completion_tokens} - {None}
    if len(limits) > 1:
        refuse_invalid("differs from max_tokens", "max_completion_tokens")
    return Sampling(
        max_tokens=next(iter(limits), None),
        temperature=body.temperature,
        top_p=body.top_p,
        stop=stops_read(body.stop, "stop"),
        seed=body.seed,
        frequency_penalty=body.frequency_penalty,
        presence_penalty=body.presence_penalty,
    )
