"""What `/v1` answers, as shapes for the schema; the dialects write the answers themselves. Pure."""

from typing import Literal

from msgspec import Struct


class StreamEvent(Struct, frozen=True, kw_only=True):
    """One event of a stream; its data is JSON, but for the last one of OpenAI's streams."""

    data: str
    event: str = "message"


class CachedTokens(Struct, frozen=True, forbid_unknown_fields=True):
    """How many tokens of the prompt the instance still had."""

    cached_tokens: int


class TokenUsage(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The count of tokens, as the instance told it."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: CachedTokens | None = None


class AnswerMessage(Struct, frozen=True, forbid_unknown_fields=True):
    """What the model said."""

    role: Literal["assistant"]
    content: str
    refusal: None


class ChatChoice(Struct, frozen=True, forbid_unknown_fields=True):
    """The one answer."""

    index: Literal[0]
    message: AnswerMessage
    logprobs: None
    finish_reason: Literal["stop", "length"]


class ChatCompletion(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole chat completion."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: TokenUsage | None
    system_fingerprint: None


class TextChoice(Struct, frozen=True, forbid_unknown_fields=True):
    """The one answer."""

    index: Literal[0]
    text: str
    logprobs: None
    finish_reason: Literal["stop", "length"]


class TextCompletion(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole completion."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[TextChoice]
    usage: TokenUsage | None
    system_fingerprint: None


class ModelCard(Struct, frozen=True, forbid_unknown_fields=True):
    """A model or an alias that can be asked for now."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    context_tokens: int
    max_output_tokens: int
    instances: int


class ModelList(Struct, frozen=True, forbid_unknown_fields=True):
    """All that can be asked for now and that are not hidden."""

    object: Literal["list"]
    data: list[ModelCard]


class ErrorBody(Struct, frozen=True, forbid_unknown_fields=True):
    """What is wrong, and in which parameter."""

    message: str
    type: str
    param: str | None
    code: str


class ErrorReply(Struct, frozen=True, forbid_unknown_fields=True):
    """An error as OpenAI's clients read it."""

    error: ErrorBody


class ResponsePart(Struct, frozen=True, forbid_unknown_fields=True):
    """The text of a response."""

    type: Literal["output_text"]
    annotations: list[str]
    logprobs: list[str]
    text: str


class ResponseItem(Struct, frozen=True, forbid_unknown_fields=True):
    """The one message of a response."""

    id: str
    type: Literal["message"]
    status: Literal["completed", "incomplete"]
    role: Literal["assistant"]
    content: list[ResponsePart]


class ResponseUsage(Struct, frozen=True, forbid_unknown_fields=True):
    """The count of tokens, as the instance told it."""

    input_tokens: int
    input_tokens_details: dict[str, int]
    output_tokens: int
    output_tokens_details: dict[str, int]
    total_tokens: int


class ResponseReply(Struct, frozen=True, kw_only=True):
    """A whole response; what it repeats of the request stands beside this."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["completed", "incomplete"]
    model: str
    error: None
    incomplete_details: dict[str, str] | None
    output: list[ResponseItem]
    usage: ResponseUsage | None


class MessageText(Struct, frozen=True, forbid_unknown_fields=True):
    """The text of a message."""

    type: Literal["text"]
    text: str


class MessageUsage(Struct, frozen=True, forbid_unknown_fields=True):
    """The count of tokens, of the prompt those apart that were held already."""

    input_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    output_tokens: int


class MessageReply(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole message, as Anthropic's clients read it."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[MessageText]
    stop_reason: Literal["end_turn", "max_tokens"]
    stop_sequence: None
    usage: MessageUsage


class MessageErrorDetails(Struct, frozen=True, forbid_unknown_fields=True):
    """Our own code, and which parameter is wrong."""

    error_code: str
    param: str | None


class MessageErrorBody(Struct, frozen=True, forbid_unknown_fields=True):
    """What is wrong."""

    type: str
    message: str
    details: MessageErrorDetails


class MessageErrorReply(Struct, frozen=True, forbid_unknown_fields=True):
    """An error as Anthropic's clients read it."""

    type: Literal["error"]
    error: MessageErrorBody
    request_id: str
