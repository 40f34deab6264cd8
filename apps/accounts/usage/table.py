"""Writes usage as CSV that no spreadsheet takes for formulas. Pure."""

import csv
import io
import unicodedata
from collections.abc import Iterable
from typing import Final

HEAD: Final = (
    *("day", "key", "key_prefix", "model"),
    *("requests", "prompt_tokens", "completion_tokens"),
)
# What spreadsheets begin a formula with (OWASP, CSV injection).
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_lines(rows: Iterable[Iterable[object]]) -> bytes:
    """Write rows as lines of CSV (RFC 4180) in UTF-8."""
    written = io.StringIO()
    csv.writer(written).writerows([_as_cell(value) for value in row] for row in rows)
    return written.getvalue().encode()


def _as_cell(value: object) -> str:
    text = str(value)
    plain = unicodedata.normalize("NFKC", text).lstrip(" ")  # so are their full-width forms
    is_formula = isinstance(value, str) and plain.startswith(_FORMULA_STARTS)
    return f"'{text}" if is_formula else text
