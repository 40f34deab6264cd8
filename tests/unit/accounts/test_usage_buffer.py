"""The buffer adds up what keys use, and never grows past its room."""

from datetime import date

from apps.accounts.usage.buffer import UsageBuffer, UsageRow


def row(
    key: str = "a", day: int = 1, model: str = "m", requests: int = 1, tokens: int = 5
) -> UsageRow:
    return UsageRow(
        key_id=key,
        day=date(2027, 1, day),
        model_name=model,
        requests=requests,
        prompt_tokens=tokens,
        completion_tokens=2 * tokens,
    )


def test_rows_of_one_key_day_and_model_become_one() -> None:
    buffer = UsageBuffer(most_rows=10)
    assert not buffer
    for one in (row(), row(tokens=7), row(key="b"), row(day=2), row(model="n"), row()):
        assert buffer.add(one)
    assert buffer
    assert buffer.take() == [
        row(requests=3, tokens=17),
        row(key="b"),
        row(day=2),
        row(model="n"),
    ]
    assert not buffer
    assert buffer.take() == []


def test_what_is_put_back_is_added_to_what_came_meanwhile() -> None:
    buffer = UsageBuffer(most_rows=10)
    buffer.add(row())
    taken = buffer.take()
    buffer.add(row(tokens=1))
    buffer.put_back(taken)
    assert buffer.take() == [row(requests=2, tokens=6)]


def test_a_full_buffer_takes_no_new_row_but_goes_on_adding_to_those_it_has() -> None:
    buffer = UsageBuffer(most_rows=2)
    assert buffer.add(row("a"))
    assert buffer.add(row("b"))
    assert not buffer.add(row("c"))
    assert buffer.add(row("a"))
    assert [one.key_id for one in buffer.take()] == ["a", "b"]
    assert buffer.add(row("c"))
