"""How any body is read: strictly, refusing by name what is wrong or not known. Pure.

Nothing is ignored in silence: a parameter that would change the answer and is not known is refused
by name. One that is `null` counts as absent, as the clients of every dialect expect.
"""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Final, NoReturn, TypeVar, cast

import msgspec
from msgspec import Meta

from apps.api.conf import CONF
from apps.api.errors import ApiError
from apps.router.errors import ErrorCode
from motherfluxer_wire.fields import ModelName, Stops
from motherfluxer_wire.limits import MAX_INTEGER

Penalty = Annotated[float, Meta(ge=-2, le=2)]
Seed = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Temperature = Annotated[float, Meta(ge=0, le=2)]
TokenCount = Annotated[int, Meta(ge=1, le=MAX_INTEGER)]
TopP = Annotated[float, Meta(gt=0, le=1)]
StructT = TypeVar("StructT")
SHOWN_CHARS: Final = 64

# A text in JSON, to its end or to the body's: each byte is looked at once, whatever it holds.
_TEXT: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_AT: Final = re.compile(r" - at (?:`key` in )?`\$\.?([^`]*)`$")
_MISSING: Final = re.compile(r"^Object missing required field `(\w+)`")


def object_read(body: bytes) -> Mapping[str, Any]:
    """Read the body's JSON object. Raises ApiError."""
    if _has_too_many_values(body):
        words = f"The body holds more than {CONF.max_body_values} values."
        raise ApiError(ErrorCode.REQUEST_TOO_LARGE, words)
    try:
        found = msgspec.json.decode(body)
    except (ValueError, RecursionError) as error:
        if (spoilt := _spoilt_parameter(body)) is not None:
            refuse_invalid("holds a number or a character that JSON does not have", spoilt)
        words = f"The body is no JSON that can be read: {error}."
        raise ApiError(ErrorCode.INVALID_REQUEST, words) from error
    if not isinstance(found, dict):
        raise ApiError(ErrorCode.INVALID_REQUEST, "The body must be a JSON object.")
    json.loads(body.decode(), object_pairs_hook=_refuse_repetition, parse_int=str, parse_float=str)
    return found


def _has_too_many_values(body: bytes) -> bool:
    """Tell whether a body holds too many values: they, not its bytes, take the time to read."""
    most = CONF.max_body_values
    if _marks_count(body) <= most:
        return False
    texts = (body.count(b'"') - body.count(b'\\"')) // 2
    return texts > 2 * most or _marks_count(_TEXT.sub(b"", body)) > most


def _marks_count(body: bytes) -> int:
    return body.count(b",") + body.count(b"[") + body.count(b"{")


def _refuse_repetition(pairs: list[tuple[str, object]]) -> None:
    """Raise ApiError when a name stands twice in an object: readers differ in which one counts."""
    names = {name for name, _ in pairs}
    if len(names) == len(pairs):
        return
    for name, _ in pairs:
        if name not in names:
            refuse_invalid("is given twice", path_joined("", name))
        names.remove(name)


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


@cache
def _field_names(struct: type[Any]) -> frozenset[str]:
    """Return the names that a struct's fields have in a body; reading them costs much."""
    return frozenset(field.encode_name for field in msgspec.structs.fields(struct))


def struct_convert(found: Mapping[str, Any], struct: type[StructT], where: str = "") -> StructT:
    """Read an object strictly, leaving out what is null. `where` is its path in the body.

    Raises ApiError that names the parameter.
    """
    given = {name: value for name, value in found.items() if value is not None}
    known = _field_names(cast(Any, struct))
    for name in given:
        if name not in known:
            refuse_unsupported(path_joined(where, name))
    try:
        return msgspec.convert(given, struct)
    except ValueError as error:
        words = str(error)
        if missing := _MISSING.match(words):
            refuse_invalid("is required", path_joined(where, missing[1]))
        at = _AT.search(words)
        path = at[1].replace("[...]", "") if at else ""
        refuse_invalid(f"is not right: {_AT.sub('', words)}", path_joined(where, path))


def neutral_left_out(
    found: Mapping[str, Any], neutral: Mapping[str, Sequence[object]], where: str = ""
) -> dict[str, Any]:
    """Return an object without what it asks for that is so in any case.

    `neutral`: by parameter the only values that it may have. Raises ApiError for any other value.
    """
    kept = {}
    for name, value in found.items():
        allowed = neutral.get(name)
        if allowed is None:
            kept[name] = value
        elif value is not None and not any(_is_same(value, one) for one in allowed):
            param = path_joined(where, name)
            if not allowed:
                refuse_unsupported(param)
            values = " or ".join(json.dumps(one) for one in allowed)
            refuse_unsupported(param, f"{param} can only be {values} here, or be left out.")
    return kept


def _is_same(given: object, other: object) -> bool:
    """Whether two values are the same in JSON, where false is no number and null is absent."""
    if isinstance(given, dict):
        given = {name: value for name, value in given.items() if value is not None}
    return type(given) is type(other) and given == other


def model_name_read(name: str) -> str:
    """Return the name if a model or an alias could bear it. Raises ApiError."""
    text_check(name, "model")
    try:
        return msgspec.convert(name, ModelName)
    except msgspec.ValidationError as error:
        words = f"The model {name[:SHOWN_CHARS]!r} does not exist."
        raise ApiError(ErrorCode.MODEL_NOT_FOUND, words, param="model") from error


def stops_read(given: str | list[str] | None, param: str) -> list[str] | None:
    """Return the texts that end an answer; None: nothing does. Raises ApiError."""
    if not given:
        if given == "":
            refuse_invalid("must not be empty", param)
        return None
    stops = [given] if isinstance(given, str) else given
    try:
        msgspec.convert(stops, Stops)
    except msgspec.ValidationError as error:
        refuse_invalid(f"is not right: {_AT.sub('', str(error))}", param)
    return [text_check(stop, param) for stop in stops]


def text_check(text: str, param: str) -> str:
    """Return the text if a job may hold it. Raises ApiError."""
    if "\0" in text:
        refuse_invalid("must not hold a null character", param)
    return text


def path_joined(where: str, name: str) -> str:
    """Return the path of a parameter within another, cut to what a reply shows."""
    return (f"{where}.{name}" if where and name else where or name)[: 2 * SHOWN_CHARS]


def refuse_invalid(what: str, param: str) -> NoReturn:
    """Say what is wrong with a parameter, or with the whole request. Raises ApiError."""
    words = f"{param} {what}." if param else f"The request {what}."
    raise ApiError(ErrorCode.INVALID_REQUEST, words, param=param or None) from None


def refuse_unsupported(param: str, words: str | None = None) -> NoReturn:
    """Say that a parameter would change the answer and cannot be honoured. Raises ApiError."""
    words = words or f"The parameter {param} is not supported."
    raise ApiError(ErrorCode.UNSUPPORTED_PARAMETER, words, param=param)
