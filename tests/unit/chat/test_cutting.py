"""Which limit cut an answer."""

import pytest

from apps.chat.cutting import CutBy, cut_by


@pytest.mark.parametrize(
    ("asked_most", "given", "model_most", "expected"),
    [
        (7, 7, 512, CutBy.DEMO),
        (7, 8, 512, CutBy.DEMO),
        (7, 7, 7, CutBy.MODEL),  # a registered user would get no more
        (7, 3, 512, CutBy.MODEL),  # the context was full before
        (7, 7, 0, CutBy.MODEL),  # nobody knows the model any more
        (None, 512, 512, CutBy.MODEL),
    ],
)
def test_demo_cuts_where_its_limit_alone_was_reached(
    asked_most: int | None, given: int, model_most: int, expected: CutBy
) -> None:
    found = cut_by(
        finish_reason="length", asked_most=asked_most, given=given, model_most=model_most
    )
    assert found is expected


@pytest.mark.parametrize("finish_reason", ["stop", "cancelled", None])
def test_answer_that_ended_otherwise_was_not_cut(finish_reason: str | None) -> None:
    assert cut_by(finish_reason=finish_reason, asked_most=7, given=7, model_most=512) is None
