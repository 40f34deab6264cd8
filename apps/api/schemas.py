"""What a client may ask for: a body read strictly into a request. Pure.

Nothing is ignored in silence: a parameter that would change the answer and is not known here is
refused by name. One that is `null` counts as absent, as OpenAI's clients expect.
"""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, NoReturn, TypeVar, cast

import msgspec
from msgspec import Meta, Struct

from apps.api.errors import ApiError
from apps.router.errors import ErrorCode
from motherfluxer_wire.fields import ModelName, Role, Stops
from motherfluxer_wire.frames import Message, Sampling
from motherfluxer_wire.limits import MAX_INTEGER

Penalty = Annotated[float, Meta(ge=-2, le=2)]
TokenCount = Annotated[int, Meta(ge=1, le=MAX_INTEGER)]
StructT = TypeVar("StructT")

_AT: Final = re.compile(r" - at `\$\.?([^`]*)`$")
_MISSING: Final = re.compile(r"^Object missing required field `(\w+)`")
_SHOWN_CHARS: Final = 64


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
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    max_tokens: TokenCount | None = None
    max_completion_tokens: TokenCount | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None
    response_format: dict[str, Any] | None = None
    logprobs: bool = False
    store: bool = False


class ChatRequest(Struct, frozen=True, kw_only=True):
    """A chat completion as it is handed to the router."""

    model: str
    messages: tuple[Message, ...]
    sampling: Sampling
    is_streamed: bool
    includes_usage: bool


def chat_request_parse(body: bytes) -> ChatRequest:
    """Read a chat completion's body. Raises ApiError and nothing else."""
    read = _convert(_read_object(body), ChatBody)
    _refuse_unsupported(read)
    options = _convert(read.stream_options or {}, StreamOptions, "stream_options")
    if read.stream_options is not None and not read.stream:
        _invalid("is allowed only together with stream", "stream_options")
    messages = tuple(_message(m, f"messages[{n}]") for n, m in enumerate(read.messages))
    if not messages[-1].content:
        _invalid("must not be empty", f"messages[{len(messages) - 1}].content")
    return ChatRequest(
        model=_model_name(read.model),
        messages=messages,
        sampling=_sampling(read),
        is_streamed=read.stream,
        includes_usage=options.include_usage,
    )


def _read_object(body: bytes) -> Mapping[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except (ValueError, RecursionError) as error:
        if (spoilt := _spoilt_parameter(body)) is not None:
            _invalid("holds a number or a character that JSON does not have", spoilt)
        words = f"The body is no JSON that can be read: {error}."
        raise ApiError(ErrorCode.INVALID_REQUEST, words) from error
    if not isinstance(found, dict):
        raise ApiError(ErrorCode.INVALID_REQUEST, "The body must be a JSON object.")
    return found


def _spoilt_parameter(body: bytes) -> str | None:
    """Name the parameter that holds NaN, an infinity or a lone surrogate, if that is the fault."""
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    given: dict[str, Any] = found if isinstance(found, dict) else {}
    for name, value in given.items():
        try:
            json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            return name.encode(errors="replace").decode()
    return None


def _convert(found: Mapping[str, Any], struct: type[StructT], where: str = "") -> StructT:
    """Read an object strictly, leaving out what is null, refusing by name what is unknown."""
    given = {name: value for name, value in found.items() if value is not None}
    known = msgspec.structs.fields(cast(Any, struct))
    for unknown in given.keys() - {field.name for field in known}:
        _unsupported(_joined(where, unknown))
    try:
        return msgspec.convert(given, struct)
    except ValueError as error:
        words = str(error)
        if missing := _MISSING.match(words):
            _invalid("is required", _joined(where, missing[1]))
        at = _AT.search(words)
        path = at[1].replace("[...]", "") if at else ""
        _invalid(f"is not right: {_AT.sub('', words)}", _joined(where, path))


def _refuse_unsupported(body: ChatBody) -> None:
    if body.n != 1:
        _unsupported("n", "One answer is given to a request: n must be 1.")
    if body.logprobs:
        _unsupported("logprobs", "Log-probabilities are not given: logprobs must be false.")
    if body.store:
        _unsupported("store", "Answers to API requests are not stored: store must be false.")
    if body.response_format is not None:
        form = _convert(body.response_format, ResponseFormat, "response_format")
        if form.type != "text":
            _unsupported("response_format", "Answers are text: response_format must be that.")


def _model_name(name: str) -> str:
    _check_text(name, "model")
    try:
        return msgspec.convert(name, ModelName)
    except msgspec.ValidationError as error:
        words = f"The model {name[:_SHOWN_CHARS]!r} does not exist."
        raise ApiError(ErrorCode.MODEL_NOT_FOUND, words, param="model") from error


def _message(found: Mapping[str, Any], where: str) -> Message:
    turn = _convert(found, ChatMessage, where)
    at = f"{where}.content"
    if isinstance(turn.content, str):
        text = _check_text(turn.content, at)
    else:
        text = "".join(_part_text(part, f"{at}[{n}]") for n, part in enumerate(turn.content))
    role: Role = "system" if turn.role == "developer" else turn.role
    return Message(role, text)


def _part_text(found: Mapping[str, Any], where: str) -> str:
    kind = found.get("type")
    if isinstance(kind, str) and kind != "text":
        _unsupported(f"{where}.type", f"Only text can be read, not {kind[:_SHOWN_CHARS]!r}.")
    return _check_text(_convert(found, TextPart, where).text, f"{where}.text")


def _sampling(body: ChatBody) -> Sampling:
    limits = {body.max_tokens, body.max_completion_tokens} - {None}
    if len(limits) > 1:
        _invalid("differs from max_tokens", "max_completion_tokens")
    return Sampling(
        max_tokens=next(iter(limits), None),
        temperature=body.temperature,
        top_p=body.top_p,
        stop=_stops(body.stop),
        seed=body.seed,
        frequency_penalty=body.frequency_penalty,
        presence_penalty=body.presence_penalty,
    )


def _stops(given: str | list[str] | None) -> list[str] | None:
    if not given:
        if given == "":
            _invalid("must not be empty", "stop")
        return None
    stops = [given] if isinstance(given, str) else given
    try:
        msgspec.convert(stops, Stops)
    except msgspec.ValidationError as error:
        _invalid(f"is not right: {_AT.sub('', str(error))}", "stop")
    return [_check_text(stop, "stop") for stop in stops]


def _check_text(text: str, param: str) -> str:
    if "\0" in text:
        _invalid("must not hold a null character", param)
    return text


def _joined(where: str, name: str) -> str:
    return (f"{where}.{name}" if where and name else where or name)[: 2 * _SHOWN_CHARS]


def _invalid(what: str, param: str) -> NoReturn:
    words = f"{param} {what}." if param else f"The request {what}."
    raise ApiError(ErrorCode.INVALID_REQUEST, words, param=param or None) from None


def _unsupported(param: str, words: str | None = None) -> NoReturn:
    words = words or f"The parameter {param} is not supported."
    raise ApiError(ErrorCode.UNSUPPORTED_PARAMETER, words, param=param)
