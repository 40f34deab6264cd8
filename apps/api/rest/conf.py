"""The figures of `/api/`, each with its unit. Pure."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class RestConf:
    """How `/api/` bounds what it reads and what it gives at once.

    max_body_bytes: nothing that is written here is near it.
    page_count: entries of a page where none is named; max_page_count: at most.
    """

    max_body_bytes: int = 64 * 1024
    page_count: int = 50
    max_page_count: int = 200


CONF: Final = RestConf()
