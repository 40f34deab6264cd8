"""Usage as CSV: what a spreadsheet would take for a formula is text, and all else as it was."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.accounts.usage.table import csv_lines


def read(written: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(written.decode(), newline="")))


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", " =", "  @"])  # noqa: RUF001 # full-width on purpose
def test_a_text_that_begins_like_a_formula_is_quoted(start: str) -> None:
    assert read(csv_lines([[f"{start}1+1"]])) == [[f"'{start}1+1"]]


def test_figures_and_names_stay_as_they_are() -> None:
    row = ["2027-03-01", "my laptop", 'say "hi", you', "lab/a=b", 12, -3]
    assert read(csv_lines([row])) == [[str(cell) for cell in row]]


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=1))
def test_every_text_comes_back_but_for_a_quote_in_front(row: list[str]) -> None:
    [found] = read(csv_lines([row]))
    assert all(back in (text, f"'{text}") for back, text in zip(found, row, strict=True))
