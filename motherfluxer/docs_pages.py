"""Renders the Markdown pages of `docs/` as HTML."""

import re
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Final

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token

from motherfluxer.env import BASE_DIR

DOCS_DIR: Final = BASE_DIR / "docs"
_INDEX: Final = "README.md"
_ATTRIBUTES: Final = {
    "a": {"href", "title"},
    "code": {"class"},
    "th": {"style"},
    "td": {"style"},
    "img": {"src", "alt"},
    **{f"h{level}": {"id"} for level in range(1, 5)},
}
_TAGS: Final = (
    {"p", "em", "strong", "code", "pre", "ul", "ol", "li", "blockquote", "hr", "br", "del"}
    | {"table", "thead", "tbody", "tr"}
    | set(_ATTRIBUTES)
)
# Marks between which generated parts stand: for the module that writes them, not for readers.
_MARK: Final = re.compile(r"^<!--.*?-->\n", re.MULTILINE)
_markdown: Final = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def page_path(name: str) -> Path | None:
    """Return the file of a page's address below `/docs/`, or None when there is none."""
    found = pages().get(name)
    return DOCS_DIR / found if found else None


def pages() -> dict[str, str]:
    """Return every page's file, by its address below `/docs/`: "", "errors", "decisions/"."""
    files = sorted(path.relative_to(DOCS_DIR).as_posix() for path in DOCS_DIR.rglob("*.md"))
    return {_address(file): file for file in files}


def picture_path(name: str) -> Path | None:
    """Return the file of a picture below `/docs/img/`, or None when there is none."""
    found = {path.name: path for path in (DOCS_DIR / "img").glob("*.svg")}
    return found.get(name)


def render(path: Path) -> tuple[str, str]:
    """Return a page's title and its HTML."""
    return _render(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=128)
def _render(path: Path, _changed_ns: int) -> tuple[str, str]:
    tokens = _markdown.parse(_MARK.sub("", path.read_text()))
    title = "Documentation"
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            opening.attrSet("id", slug(inline.content))
            if opening.tag == "h1":
                title = inline.content
        _point_to_addresses(opening.children or [])
    html = _markdown.renderer.render(tokens, _markdown.options, {})
    return title, nh3.clean(html, tags=_TAGS, attributes=_ATTRIBUTES, link_rel=None)


def slug(heading: str) -> str:
    """Return the anchor of a heading, as code hosts make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _address(file: str) -> str:
    return file.removesuffix(_INDEX) if file.endswith(_INDEX) else file.removesuffix(".md")


def _point_to_addresses(tokens: list[Token]) -> None:
    """Turn links between files into links between pages."""
    for token in tokens:
        target, mark, anchor = str(token.attrGet("href") or "").partition("#")
        if token.type == "link_open" and target.endswith(".md") and "//" not in target:
            token.attrSet("href", (_address(target) or "./") + mark + anchor)
