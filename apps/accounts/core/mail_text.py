"""Cuts a mail's plain text into parts for its HTML. Pure."""

import re
from dataclasses import dataclass
from typing import Literal

_CODE = re.compile(r"[A-Z0-9]{4}-[A-Z0-9]{4}")
_LINK = re.compile(r"https?://\S+")


@dataclass(frozen=True, slots=True)
class Part:
    """A paragraph, a code to type, or a link to follow."""

    kind: Literal["text", "code", "link"]
    text: str


def parts_of(text: str) -> list[Part]:
    """Return the paragraphs of a text, which empty lines divide."""
    paragraphs = (part.strip() for part in re.split(r"\n\s*\n", text))
    return [Part(_kind(part), part) for part in paragraphs if part]


def _kind(paragraph: str) -> Literal["text", "code", "link"]:
    if _CODE.fullmatch(paragraph):
        return "code"
    return "link" if _LINK.fullmatch(paragraph) else "text"
