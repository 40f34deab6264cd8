"""A turn's content, which is a text or a list of parts, read as one text. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from msgspec import Struct

from apps.api.reading import (
    SHOWN_CHARS,
    neutral_left_out,
    refuse_unsupported,
    struct_convert,
    text_check,
)

Content = str | list[dict[str, Any]]


class TextPart(Struct, frozen=True):
    """A part of a turn's content."""

    kinds: ClassVar[tuple[str, ...]] = ("text",)
    # What it may hold although nothing changes by it, each with the only values for that.
    neutral: ClassVar[Mapping[str, Sequence[object]]] = {}

    type: str
    text: str

    def check(self, where: str) -> None:
        """Refuse what is wrong with it beside its text. Raises ApiError."""


def content_read(content: Content, where: str, part: type[TextPart] = TextPart) -> str:
    """Return a content's text; `part`: what its parts look like. Raises ApiError."""
    if isinstance(content, str):
        return text_check(content, where)
    return "".join(_text(one, f"{where}[{n}]", part) for n, one in enumerate(content))


def _text(found: Mapping[str, Any], where: str, part: type[TextPart]) -> str:
    kind = found.get("type")
    if isinstance(kind, str) and kind not in part.kinds:
        refuse_unsupported(f"{where}.type", f"Only text can be read, not {kind[:SHOWN_CHARS]!r}.")
    read = struct_convert(neutral_left_out(found, part.neutral, where), part, where)
    read.check(where)
    return text_check(read.text, f"{where}.text")
