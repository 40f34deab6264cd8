"""The schema as a page tells it: every address by its group, and the shapes that they name."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

_REF: Final = "#/components/schemas/"
_BOUNDS: Final = {
    "minimum": "from {}",
    "exclusiveMinimum": "above {}",
    "maximum": "up to {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {}",
    "maxItems": "at most {}",
    "maxProperties": "at most {}",
}
_LONG_ENUM: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A parameter or a field: its name, what it may be, and whether it has to be there."""

    name: str
    kind: SafeString
    is_required: bool
    words: str
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One status that an operation can answer, and in which forms."""

    status: str
    words: str
    kinds: SafeString


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one address."""

    id: str
    method: str
    path: str
    words: str
    is_public: bool
    fields: list[Field]
    body: SafeString | None
    answers: list[Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A named object of the schema."""

    name: str
    words: str
    fields: list[Field]
    kind: SafeString


def groups_of(schema: Mapping[str, Any]) -> dict[str, list[Operation]]:
    """Return all operations by their group, those of `/v1` first."""
    groups: dict[str, list[Operation]] = {"v1": []}
    for path, methods in schema["paths"].items():
        for method, told in methods.items():
            operation = _operation(method, path, told)
            groups.setdefault(told["tags"][0], []).append(operation)
    return groups


def shapes_of(schema: Mapping[str, Any]) -> list[Shape]:
    """Return the named shapes in the order of their names."""
    return [
        Shape(
            name=name,
            words=told.get("description", ""),
            fields=list(_fields(told)),
            kind=kind_words(told),
        )
        for name, told in sorted(schema["components"]["schemas"].items())
    ]


def kind_words(told: Mapping[str, Any]) -> SafeString:
    """Say what a value may be, with a link where the schema has a name for it."""
    if "$ref" in told:
        name = told["$ref"].removeprefix(_REF)
        return format_html('<a href="#shape-{}">{}</a>', name, name)
    for key in ("anyOf", "oneOf", "allOf"):
        if key in told:
            return _joined(kind_words(one) for one in told[key])
    if "enum" in told:
        return _values(told["enum"])
    kinds = told.get("type", "anything")
    names = [kinds] if isinstance(kinds, str) else kinds
    return _joined(_one_kind(name, told) for name in names)


def _one_kind(name: str, told: Mapping[str, Any]) -> SafeString:
    if name == "array":
        found = format_html("list of {}", kind_words(told.get("items", {})))
    elif name == "object" and isinstance(told.get("additionalProperties"), Mapping):
        found = format_html("object of {}", kind_words(told["additionalProperties"]))
    else:
        found = format_html("{}", told.get("format", name) if name == "string" else name)
    bounds = [words.format(told[key]) for key, words in _BOUNDS.items() if key in told]
    return format_html("{}, {}", found, ", ".join(bounds)) if bounds and name != "null" else found


def _values(values: list[Any]) -> SafeString:
    shown = ((json.dumps(value),) for value in values[:_LONG_ENUM])
    listed = format_html_join(" or ", "<code>{}</code>", shown)
    return format_html("{} …", listed) if len(values) > _LONG_ENUM else listed


def _joined(kinds: Iterable[SafeString]) -> SafeString:
    return format_html_join(" or ", "{}", ((kind,) for kind in dict.fromkeys(kinds)))


def _fields(told: Mapping[str, Any]) -> Iterator[Field]:
    for name, one in told.get("properties", {}).items():
        is_required = name in told.get("required", ())
        words = one.get("description", "")
        yield Field(name=name, kind=kind_words(one), is_required=is_required, words=words)


def _operation(method: str, path: str, told: Mapping[str, Any]) -> Operation:
    body = told.get("requestBody", {}).get("content", {}).get("application/json")
    return Operation(
        id=told["operationId"],
        method=method.upper(),
        path=path,
        words=told.get("summary") or told.get("description", ""),
        is_public={} in told.get("security", ()),
        fields=[
            Field(
                name=one["name"],
                kind=kind_words(one["schema"]),
                is_required=one.get("required", False),
                words=one.get("description", ""),
                place=one["in"],
            )
            for one in told.get("parameters", ())
        ],
        body=kind_words(body["schema"]) if body else None,
        answers=[_answer(status, one) for status, one in sorted(told["responses"].items())],
    )


def _answer(status: str, told: Mapping[str, Any]) -> Answer:
    kinds = ((kind_words(form["schema"]), media) for media, form in told.get("content", {}).items())
    return Answer(
        status=status,
        words=HTTPStatus(int(status)).phrase,
        kinds=format_html_join(", ", "{} as {}", kinds),
    )
