"""The addresses of `/v1`, for the schema: what each takes and what it can be answered. Pure.

A new dialect gets its entry here; the suite asks for one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from msgspec import Struct

from apps.api.dialects import chat, completions, content, messages, parameters, responses
from apps.api.rest import shapes
from apps.router.errors import ErrorCode

# What any request to /v1 can be refused for, and what a question can besides.
_ANY: Final = (ErrorCode.INVALID_API_KEY, ErrorCode.RATE_LIMIT_EXCEEDED, ErrorCode.INTERNAL_ERROR)
_OF_MODEL: Final = (ErrorCode.MODEL_NOT_FOUND, ErrorCode.MODEL_OUT_OF_SCOPE)
_OF_QUESTION: Final = (
    *_OF_MODEL,
    ErrorCode.INVALID_REQUEST,
    ErrorCode.REQUEST_TOO_LARGE,
    ErrorCode.UNSUPPORTED_ENCODING,
    ErrorCode.IDEMPOTENCY_KEY_REUSED,
    ErrorCode.NO_INSTANCE,
    ErrorCode.INSTANCES_FAILED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One address of `/v1`.

    body: what it takes. inner: the shape of what a field holds, by struct and field, where the
        dialect reads that by itself. neutral: by struct the values that change nothing.
    answer: what it answers when all is well; questions can also be answered by events.
    """

    path: str
    method: str
    operation_id: str
    summary: str
    answer: type[Struct]
    codes: tuple[ErrorCode, ...]
    error: type[Struct] = shapes.ErrorReply
    body: type[Struct] | None = None
    inner: Mapping[tuple[type[Struct], str], type[Struct]] = field(default_factory=dict)
    neutral: Mapping[type[Struct], Mapping[str, Iterable[object]]] = field(default_factory=dict)


ENDPOINTS: Final = (
    Endpoint(
        path="/v1/models",
        method="get",
        operation_id="models_list",
        summary="List the models and aliases that can be asked for now.",
        answer=shapes.ModelList,
        codes=_ANY,
    ),
    Endpoint(
        path="/v1/models/{id}",
        method="get",
        operation_id="model_show",
        summary="Show one of them; an id may hold slashes.",
        answer=shapes.ModelCard,
        codes=(*_ANY, *_OF_MODEL),
    ),
    Endpoint(
        path="/v1/chat/completions",
        method="post",
        operation_id="chat_completion",
        summary="Answer a conversation, whole or in pieces.",
        body=chat.ChatBody,
        inner={
            (chat.ChatBody, "messages"): chat.ChatMessage,
            (chat.ChatBody, "stream_options"): parameters.StreamOptions,
            (chat.ChatMessage, "content"): content.TextPart,
        },
        neutral={
            chat.ChatBody: chat.NEUTRAL,
            chat.ChatMessage: chat.NEUTRAL_OF_MESSAGE,
            parameters.StreamOptions: parameters.NEUTRAL_OPTIONS,
        },
        answer=shapes.ChatCompletion,
        codes=(*_ANY, *_OF_QUESTION),
    ),
    Endpoint(
        path="/v1/completions",
        method="post",
        operation_id="text_completion",
        summary="Answer a prompt, whole or in pieces.",
        body=completions.CompletionBody,
        inner={(completions.CompletionBody, "stream_options"): parameters.StreamOptions},
        neutral={
            completions.CompletionBody: completions.NEUTRAL,
            parameters.StreamOptions: parameters.NEUTRAL_OPTIONS,
        },
        answer=shapes.TextCompletion,
        codes=(*_ANY, *_OF_QUESTION),
    ),
    Endpoint(
        path="/v1/responses",
        method="post",
        operation_id="response",
        summary="Answer in the form of OpenAI's Responses API, whole or in events.",
        body=responses.ResponsesBody,
        inner={
            (responses.ResponsesBody, "input"): responses.InputMessage,
            (responses.InputMessage, "content"): responses.InputPart,
        },
        neutral={
            responses.ResponsesBody: responses.NEUTRAL,
            responses.InputPart: responses.InputPart.neutral,
        },
        answer=shapes.ResponseReply,
        codes=(*_ANY, *_OF_QUESTION),
    ),
    Endpoint(
        path="/v1/messages",
        method="post",
        operation_id="message",
        summary="Answer in the form of Anthropic's Messages API, whole or in events.",
        body=messages.MessagesBody,
        inner={
            (messages.MessagesBody, "messages"): messages.Turn,
            (messages.MessagesBody, "system"): messages.TextBlock,
            (messages.MessagesBody, "metadata"): messages.Metadata,
            (messages.MessagesBody, "cache_control"): messages.CacheControl,
            (messages.Turn, "content"): messages.TextBlock,
            (messages.TextBlock, "cache_control"): messages.CacheControl,
        },
        neutral={
            messages.MessagesBody: messages.NEUTRAL,
            messages.TextBlock: messages.TextBlock.neutral,
        },
        answer=shapes.MessageReply,
        error=shapes.MessageErrorReply,
        codes=(*_ANY, *_OF_QUESTION),
    ),
)
