"""Bodies that no client should send, derived from what the dialects' own structs take."""

import importlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import msgspec

from apps.api.dialects.base import Dialect

MODEL: Final = "hostile"
_QUESTION: Final = [{"role": "user", "content": "hi"}]
# What each address answers with 200; a new one is found out by the test that compares the keys.
GOOD_BODIES: Final[dict[str, dict[str, Any]]] = {
    "/v1/chat/completions": {"model": MODEL, "messages": _QUESTION},
    "/v1/completions": {"model": MODEL, "prompt": "hi"},
    "/v1/responses": {"model": MODEL, "input": "hi"},
    "/v1/messages": {"model": MODEL, "messages": _QUESTION, "max_tokens": 10},
}
# As they stand in the body: Python could not write all of them. The right type for some.
_VALUES: Final = (
    *("true", "-1", "0", "1.5", '""', '"x"', "[]", "[[]]", "[null]", "[17]", "{}"),
    *('{"a": {"b": [1]}}', '{"type": "x"}', '[{"type": "x"}]', '[{"role": "x"}]', '{"": ""}'),
    *(str(2**70), "-1e308", "1e-400", '"\\u0000"', '["\\u0000"]', json.dumps("🙂" * 70_000)),
)
# No JSON has these, or no reader takes them.
_NO_JSON: Final = (
    *("NaN", "Infinity", "-Infinity", "1e999", "0x10", "01", "'x'", "undefined", "[1,]", ""),
    *('"\\ud83d"', '["\\udc00"]', '{"\\ud83d": 1}', '"\\x"', '"\n"', '"\x00"', "1 2"),
    *("1" * 5000, "[" * 30_000 + "]" * 30_000, '{"a":' * 20_000 + "1" + "}" * 20_000),
)


@dataclass(frozen=True, slots=True)
class Hostile:
    """A body; `param` is what a refusal names, and `is_json` whether it can be read at all."""

    body: bytes
    param: str | None = None
    is_json: bool = True


def parameters_of(dialect: Dialect) -> list[str]:
    """List what a dialect takes: the fields of its body, and what changes nothing."""
    module = importlib.import_module(dialect.read.__module__)
    bodies = [
        found
        for name, found in vars(module).items()
        if name.endswith("Body") and found.__module__ == module.__name__
    ]
    (body,) = (cast(Any, found) for found in bodies)
    fields = {field.encode_name for field in msgspec.structs.fields(body)}
    neutral: Mapping[str, object] = getattr(module, "NEUTRAL", {})
    return sorted(fields | neutral.keys())


def wrong_parameters(good: Mapping[str, Any], parameters: list[str]) -> Iterator[Hostile]:
    """Yield the good body with each value in the place of each parameter."""
    for name in parameters:
        rest = json.dumps({key: value for key, value in good.items() if key != name})[:-1]
        for values, is_json in ((_VALUES, True), (_NO_JSON, False)):
            for value in values:
                body = f'{rest}, "{name}": {value}}}'.encode()
                yield Hostile(body, name if is_json else None, is_json)


def broken_bodies(good: Mapping[str, Any]) -> Iterator[Hostile]:
    """Yield bodies that are no JSON, no object, or an object with too much in it."""
    text = json.dumps(good)
    no_json = [
        *(b"", b" \n", b"{", b"}", b"\x00", b"\xff\xfe", b"{]", b"<a/>", b"a=b&c=d", b"NaN"),
        *(text[:-1].encode(), (text * 2).encode(), text.encode() + b"\x00", b"\xef\xbb\xbf{}"),
        *(text.encode("utf-16"), b'{"a": "\xff"}', b'{"\\ud83d": 1}', b"[" * 500_000),
        *(b'{"a":' * 150_000, b'{"a": ' + b"9" * 1_000_000),
    ]
    for body in no_json:
        yield Hostile(body, is_json=False)
    for body in (b"null", b"[]", b"17", b'"x"', b"true", b"{}", f"[{text}]".encode()):
        yield Hostile(body)
    for extra in (
        {"\x00": 1},
        {"x" * 100_000: 1},
        {"a\nb": 1},
        {f"k{n}": n for n in range(20_000)},
    ):
        yield Hostile(json.dumps({**good, **extra}).encode())
    for name in good:
        # Said twice: the last one counts, or the body is refused; never something in between.
        yield Hostile(f'{text[:-1]}, "{name}": [17]}}'.encode(), name)
