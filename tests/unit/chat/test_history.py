"""How much of a conversation goes along with a question."""

from hypothesis import given
from hypothesis import strategies as st

from apps.chat.conf import CONF
from apps.chat.history import prompt_budget_bytes, turns_fit
from motherfluxer_wire.frames import Message


def conversation(*texts: str) -> list[Message]:
    """Alternate questions and answers, a question first."""
    return [
        Message(role="assistant" if number % 2 else "user", content=text)
        for number, text in enumerate(texts)
    ]


def contents(turns: tuple[Message, ...]) -> list[str]:
    return [turn.content for turn in turns]


def test_everything_goes_along_when_it_fits() -> None:
    turns = conversation("one", "1", "two", "2", "three")
    assert turns_fit(turns, budget_bytes=10_000) == tuple(turns)


def test_oldest_exchange_is_left_out_first_and_whole() -> None:
    turns = conversation("a" * 400, "1", "b" * 100, "2", "three")
    assert contents(turns_fit(turns, budget_bytes=300)) == ["b" * 100, "2", "three"]


def test_last_question_goes_always() -> None:
    assert contents(turns_fit(conversation("x" * 9000), budget_bytes=10)) == ["x" * 9000]


def test_question_without_an_answer_is_left_out() -> None:
    turns = conversation("lost", "", "two", "2", "three")
    assert contents(turns_fit(turns, budget_bytes=10_000)) == ["two", "2", "three"]


def test_budget_counts_bytes_of_other_scripts() -> None:
    turns = conversation("ü" * 60, "1", "two")
    assert contents(turns_fit(turns, budget_bytes=180)) == ["two"]


@given(st.lists(st.text(max_size=80), min_size=1, max_size=21), st.integers(0, 2000))
def test_result_is_within_budget_and_ends_with_the_question(texts: list[str], budget: int) -> None:
    turns = conversation(*texts[: len(texts) - 1 + len(texts) % 2])
    if not turns or turns[-1].role != "user":
        return
    chosen = turns_fit(turns, budget_bytes=budget)
    assert chosen[-1] is turns[-1]
    assert len(chosen) % 2 == 1
    weight = sum(len(turn.content.encode()) + CONF.template_bytes_per_turn for turn in chosen)
    assert len(chosen) == 1 or weight <= budget


def test_budget_leaves_room_for_the_answer() -> None:
    assert 0 < prompt_budget_bytes(1024) < 1024 * CONF.bytes_per_token
