"""Which limit cut an answer that ended before it was finished. Pure."""

from enum import StrEnum


class CutBy(StrEnum):
    """`DEMO`: the visitors' limit alone, below the model's. `MODEL`: the model's own, or another.

    Continuing such an answer would bring nothing, since the limit holds for the whole of it.
    """

    DEMO = "demo"
    MODEL = "model"


def cut_by(
    *, finish_reason: str | None, asked_most: int | None, given: int, model_most: int
) -> CutBy | None:
    """Tell the limit; None for an answer that was not cut. All but the reason count tokens.

    `asked_most`: the visitors' limit, None for a registered user; `model_most`: the model's, 0
    where it is not known. `given` leaves out what an answer was continued from: then, as when the
    context is full before the visitors' limit, nobody is promised longer answers.
    """
    if finish_reason != "length":
        return None
    if asked_most is not None and given >= asked_most and model_most > asked_most:
        return CutBy.DEMO
    return CutBy.MODEL
