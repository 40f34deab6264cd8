"""OpenAI's Responses API: a body read strictly into a question. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from apps.api.dialects.base import Answer, Dialect, Head, Question
from apps.api.dialects.content import Content, TextPart, content_read
from apps.api.dialects.parameters import Metadata
from apps.api.dialects.responses_answers import ResponseEventWriter, response_of_answer
from apps.api.reading import (
    SHOWN_CHARS,
    Temperature,
    TokenCount,
    TopP,
    model_name_read,
    neutral_left_out,
    object_read,
    refuse_invalid,
    refuse_unsupported,
    struct_convert,
    text_check,
)
from motherfluxer_wire.fields import Role
from motherfluxer_wire.frames import Message, Sampling

_PLAIN: Final = {"format": {"type": "text"}}
# What is true of every answer here: one text, drawn without tools, kept nowhere.
NEUTRAL: Final[dict[str, tuple[object, ...]]] = {
    "background": (False,),
    "include": ([],),
    "previous_response_id": (),
    "reasoning": ({}, {"effort": "none"}),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "stream_options": ({}, {"include_obfuscation": False}),
    "text": ({}, _PLAIN, {"verbosity": "medium"}, {**_PLAIN, "verbosity": "medium"}),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_logprobs": (0,),
    "truncation": ("disabled",),
}
# Bounded, since an answer that repeats it may be kept for a while.
Note = Annotated[str, Meta(max_length=512)]


class ResponsesBody(Struct, frozen=True, kw_only=True):
    """The body of a response: every parameter that is understood, but the neutral ones.

    The last four are the client's own notes: read, checked, and repeated.
    """

    model: Annotated[str, Meta(min_length=1)]
    input: str | list[dict[str, Any]]
    instructions: str | None = None
    max_output_tokens: TokenCount | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    stream: bool = False
    parallel_tool_calls: bool = True
    metadata: Metadata | None = None
    prompt_cache_key: Note | None = None
    safety_identifier: Note | None = None
    user: Note | None = None


class InputMessage(Struct, frozen=True, kw_only=True):
    """One turn; the last two stand on an earlier answer that is sent back."""

    role: Literal["user", "assistant", "system", "developer"]
    content: Content
    type: Literal["message"] = "message"
    id: str | None = None
    status: Literal["in_progress", "completed", "incomplete"] | None = None


class InputPart(TextPart, frozen=True):
    """A part of a turn's content."""

    kinds = ("input_text", "output_text")
    # What clients send back with an earlier answer, beside its text.
    neutral = {"annotations": ([],), "logprobs": ([],)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponsesQuestion(Question):
    """A response that is asked for. `echoed`: what the response repeats of the request."""

    echoed: Mapping[str, Any]

    def body(self, answer: Answer) -> object:
        """Return a response."""
        return response_of_answer(answer, self.echoed)

    def writer(self, head: Head) -> ResponseEventWriter:
        """Return what writes its events."""
        return ResponseEventWriter(head, self.echoed)


def responses_question_read(body: bytes) -> ResponsesQuestion:
    """Read a response's body. Raises ApiError and nothing else."""
    read = struct_convert(_known(object_read(body)), ResponsesBody)
    turns = _turns(read)
    return ResponsesQuestion(
        model=model_name_read(read.model),
        messages=(*_instructions(read), *turns),
        sampling=Sampling(
            max_tokens=read.max_output_tokens, temperature=read.temperature, top_p=read.top_p
        ),
        is_streamed=read.stream,
        echoed={
            "instructions": read.instructions,
            "max_output_tokens": read.max_output_tokens,
            "metadata": read.metadata or {},
            "parallel_tool_calls": read.parallel_tool_calls,
            "prompt_cache_key": read.prompt_cache_key,
            "safety_identifier": read.safety_identifier,
            "temperature": read.temperature,
            "top_p": read.top_p,
            "user": read.user,
        },
    )


RESPONSES: Final = Dialect(read=responses_question_read)


def _known(found: Mapping[str, Any]) -> dict[str, Any]:
    kept = neutral_left_out(found, NEUTRAL)
    if found.get("stream_options") is not None and found.get("stream") is not True:
        refuse_invalid("is allowed only together with stream", "stream_options")
    return kept


def _instructions(body: ResponsesBody) -> tuple[Message, ...]:
    if not body.instructions:
        return ()
    return (Message("system", text_check(body.instructions, "instructions")),)


def _turns(body: ResponsesBody) -> tuple[Message, ...]:
    if not body.input:
        refuse_invalid("must not be empty", "input")
    if isinstance(body.input, str):
        return (Message("user", text_check(body.input, "input")),)
    turns = tuple(_turn(item, f"input[{n}]") for n, item in enumerate(body.input))
    if not turns[-1].content:
        refuse_invalid("must not be empty", f"input[{len(turns) - 1}].content")
    return turns


def _turn(found: Mapping[str, Any], where: str) -> Message:
    kind = found.get("type")
    if isinstance(kind, str) and kind != "message":
        words = f"Only messages can be read, not {kind[:SHOWN_CHARS]!r}."
        if kind == "item_reference":
            words += " Nothing is stored here: send the message itself, and store as false."
        refuse_unsupported(f"{where}.type", words)
    turn = struct_convert(found, InputMessage, where)
    role: Role = "system" if turn.role == "developer" else turn.role
    return Message(role, content_read(turn.content, f"{where}.content", InputPart))
