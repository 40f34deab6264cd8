"""What a question is asked of, and what people see it called."""

import pytest

from apps.chat.choice import ModelChoice

NAMES = {"chat": "Helper", "phi-2": "Phi 2"}


@pytest.mark.parametrize(
    ("choice", "model_name", "label"),
    [
        (ModelChoice(), "phi-2", "phi-2"),
        (ModelChoice(display_names=NAMES), "phi-2", "Phi 2"),
        (ModelChoice(name="phi-2", display_names=NAMES), "phi-2", "Phi 2"),
        (ModelChoice(name="phi-3", display_names=NAMES), "phi-3", "phi-3"),
        (
            ModelChoice(name="chat", behind_alias=frozenset({"phi-2"}), display_names=NAMES),
            "phi-2",
            "Helper (Phi 2)",
        ),
        (
            ModelChoice(name="chat", behind_alias=frozenset({"phi-3"}), display_names=NAMES),
            "phi-3",
            "Helper (phi-3)",
        ),
        (
            ModelChoice(name="plain", behind_alias=frozenset({"phi-2"}), display_names=NAMES),
            "phi-2",
            "Phi 2",
        ),
    ],
)
def test_the_label_names_the_alias_and_the_model(
    choice: ModelChoice, model_name: str, label: str
) -> None:
    assert choice.label(model_name) == label


def test_any_model_may_answer_where_none_is_named() -> None:
    assert ModelChoice().may_be("phi-2")


def test_a_named_model_answers_itself() -> None:
    assert ModelChoice(name="phi-2").may_be("phi-2")
    assert not ModelChoice(name="phi-2").may_be("phi-3")


def test_an_aliases_models_may_answer_and_no_model_of_its_name() -> None:
    choice = ModelChoice(name="chat", behind_alias=frozenset({"phi-2", "phi-3"}))
    assert choice.may_be("phi-3")
    assert not choice.may_be("chat")
