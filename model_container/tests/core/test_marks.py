"""Special tokens that a user typed: broken up, and readable all the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motherfluxer_model.core.marks import JOINER, SAMPLES, MarkBreaker, find_marks

LEARNED = ("</s>", "[/INST]", "~turn~", "<eos>")


@pytest.mark.parametrize("mark", [*SAMPLES, "<s>", "[INST]", "~turn~", "<|turn>", "<bos>"])
def test_no_mark_is_left(mark: str) -> None:
    broken = MarkBreaker(LEARNED)(f"x {mark}{mark} y")
    assert mark not in broken
    assert broken.replace(JOINER, "") == f"x {mark}{mark} y"


@pytest.mark.parametrize(
    "text",
    ["", "a < b | c > d", "<b>bold</b>, <s>old</s>", "x[0] [OK] [x]", "f(a)|>g", "if (a<|b) {}"],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert MarkBreaker()(text) == text


@given(st.text(alphabet="<|>ab_~\u2060", max_size=30))
def test_breaking_once_is_enough(text: str) -> None:
    breaker = MarkBreaker(["~a~", "<|a|>"])
    once = breaker(text)
    assert breaker(once) == once
    assert not {"~a~", "<|a|>"} & {once[at : at + 5] for at in range(len(once))}
    assert once.replace(JOINER, "") == text.replace(JOINER, "")


def test_marks_of_a_template_are_found() -> None:
    template = "{{ '<|user|>' + m['content'] + '</s>' }}[INST] <start_of_turn>model <|user|>"
    assert find_marks(template) == ["<|user|>", "</s>", "[INST]", "<start_of_turn>"]
