"""What `/v1/chat/completions` takes: every parameter is honoured, or refused by name. Pure."""

import re
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from apps.api.errors import ApiError
from apps.router.errors import ErrorCode
from motherfluxer_wire import limits
from motherfluxer_wire.frames import Message, Sampling

MAX_BODY_BYTES: Final = limits.MAX_FRAME_BYTES
_AT_PATH: Final = re.compile(r"at `\$\.?([^`\[.]*)")


class TextPart(Struct, tag_field="type", tag="text"):
    """A piece of a message's content; text is the only kind."""

    text: str


class ChatMessage(Struct):
    """One turn; OpenAI's `developer` is our `system`."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]
    name: str | None = None


class StreamOptions(Struct, forbid_unknown_fields=True):
    """How the stream ends."""

    include_usage: bool = False
    include_obfuscation: bool = False


class ResponseFormat(Struct, forbid_unknown_fields=True):
    """Text is the only format."""

    type: Literal["text"]


Temperature = Annotated[float, Meta(ge=0, le=2)]
TopP = Annotated[float, Meta(gt=0, le=1)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Tokens = Annotated[int, Meta(ge=1, le=limits.MAX_INTEGER)]
Seed = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Stop = Annotated[str, Meta(min_length=1, max_length=limits.MAX_STOP_CHARS)]
Stops = Annotated[list[Stop], Meta(max_length=limits.MAX_STOP_COUNT)]
ModelId = Annotated[str, Meta(min_length=1, max_length=limits.MAX_NAME_CHARS)]


class ChatRequest(Struct):
    """A request whose parameters are all known, right and non-null."""

    model: ModelId
    messages: Annotated[list[ChatMessage], Meta(min_length=1, max_length=4096)]
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: Literal[1] = 1
    stop: Stop | Stops | None = None
    seed: Seed | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    response_format: ResponseFormat | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None
    store: Literal[False] | None = None
    logprobs: Literal[False] | None = None

    def sampling(self) -> Sampling:
        """Return how the next token is drawn."""
        return Sampling(
            max_tokens=self.max_completion_tokens or self.max_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            stop=[self.stop] if isinstance(self.stop, str) else self.stop,
            seed=self.seed,
            frequency_penalty=self.frequency_penalty,
            presence_penalty=self.presence_penalty,
        )

    def turns(self) -> tuple[Message, ...]:
        """Return the conversation as the wire has it."""
        return tuple(
            Message("system" if m.role == "developer" else m.role, _text_of(m))
            for m in self.messages
        )

    @property
    def includes_usage(self) -> bool:
        """Whether the stream's last chunk tells the usage."""
        return self.stream_options is not None and self.stream_options.include_usage


_FIELDS: Final = frozenset(ChatRequest.__struct_fields__)


def parse_chat_request(body: bytes) -> ChatRequest:
    """Read a request's body. Raises ApiError naming the parameter, and nothing else."""
    if len(body) > MAX_BODY_BYTES:
        words = f"The request is over {MAX_BODY_BYTES} bytes."
        raise ApiError(ErrorCode.REQUEST_TOO_LARGE, words)
    given = _given_parameters(body)
    for name in given:
        if name not in _FIELDS:
            words = f"The parameter '{name[:64]}' is not supported. Leave it out."
            raise ApiError(ErrorCode.UNSUPPORTED_PARAMETER, words, param=name[:64])
    try:
        request = msgspec.convert(given, ChatRequest)
    except msgspec.ValidationError as error:
        words = str(error)
        found = _AT_PATH.search(words) or re.search(r"required field `([^`]*)`", words)
        param = found[1] if found and found[1] else None
        raise ApiError(ErrorCode.INVALID_REQUEST, words, param=param) from error
    _check_sense(request)
    return request


def _given_parameters(body: bytes) -> dict[str, Any]:
    try:
        read = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        words = f"The body is not valid JSON: {error}"
        raise ApiError(ErrorCode.INVALID_REQUEST, words) from error
    if not isinstance(read, dict):
        raise ApiError(ErrorCode.INVALID_REQUEST, "The body must be a JSON object.")
    return {name: value for name, value in read.items() if value is not None}


def _check_sense(request: ChatRequest) -> None:
    both = (request.max_tokens, request.max_completion_tokens)
    if None not in both and both[0] != both[1]:
        words = "max_tokens and max_completion_tokens differ. Give one of them."
        raise ApiError(ErrorCode.INVALID_REQUEST, words, param="max_completion_tokens")
    if request.stream_options is not None and not request.stream:
        words = "stream_options is allowed only when stream is true."
        raise ApiError(ErrorCode.INVALID_REQUEST, words, param="stream_options")
    if not any(_text_of(m).strip() for m in request.messages if m.role == "user"):
        words = "messages holds no text of the user. Add a message of role 'user'."
        raise ApiError(ErrorCode.INVALID_REQUEST, words, param="messages")


def _text_of(message: ChatMessage) -> str:
    if isinstance(message.content, str):
        return message.content
    return "".join(part.text for part in message.content)
