"""Chat completions: a body read strictly into a question. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from apps.api.dialects.base import Answer, Dialect, Head, Question
from apps.api.dialects.chat_answers import ChatEventWriter, chat_completion_body
from apps.api.dialects.content import Content, content_read
from apps.api.dialects.parameters import SHARED_NEUTRAL, Metadata, SharedBody
from apps.api.reading import (
    TokenCount,
    model_name_read,
    neutral_left_out,
    object_read,
    refuse_invalid,
    struct_convert,
)
from motherfluxer_wire.fields import Role
from motherfluxer_wire.frames import Message

# An answer is one text, drawn without tools, with as much thought as the model has by itself.
NEUTRAL: Final[dict[str, tuple[object, ...]]] = {
    **SHARED_NEUTRAL,
    "function_call": ("none", "auto"),
    "functions": ([],),
    "logprobs": (False,),
    "modalities": (["text"],),
    "parallel_tool_calls": (True, False),
    "reasoning_effort": ("none",),
    "response_format": ({"type": "text"},),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_logprobs": (0,),
    "verbosity": ("medium",),
}
# What clients send back with an earlier answer, beside its text.
NEUTRAL_OF_MESSAGE: Final[dict[str, tuple[object, ...]]] = {
    "annotations": ([],),
    "tool_calls": ([],),
}


class ChatMessage(Struct, frozen=True):
    """One turn, its content whole or in parts."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Content


class ChatBody(SharedBody, frozen=True, kw_only=True):
    """The body of a chat completion: every parameter that is understood, but the neutral ones.

    The last three are the client's own notes, as `user` is.
    """

    messages: Annotated[list[dict[str, Any]], Meta(min_length=1)]
    max_completion_tokens: TokenCount | None = None
    metadata: Metadata | None = None
    prompt_cache_key: str | None = None
    safety_identifier: str | None = None


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
    read = struct_convert(neutral_left_out(object_read(body), NEUTRAL), ChatBody)
    messages = tuple(_message(m, f"messages[{n}]") for n, m in enumerate(read.messages))
    if not messages[-1].content:
        refuse_invalid("must not be empty", f"messages[{len(messages) - 1}].content")
    return ChatQuestion(
        model=model_name_read(read.model),
        messages=messages,
        sampling=read.sampling(_max_tokens(read)),
        is_streamed=read.stream,
        includes_usage=read.includes_usage(),
    )


CHAT: Final = Dialect(read=chat_question_read)


def _max_tokens(body: ChatBody) -> int | None:
    limits = {body.max_tokens, body.max_completion_tokens} - {None}
    if len(limits) > 1:
        refuse_invalid("differs from max_tokens", "max_completion_tokens")
    return next(iter(limits), None)


def _message(found: Mapping[str, Any], where: str) -> Message:
    turn = struct_convert(neutral_left_out(found, NEUTRAL_OF_MESSAGE, where), ChatMessage, where)
    role: Role = "system" if turn.role == "developer" else turn.role
    return Message(role, content_read(turn.content, f"{where}.content"))
