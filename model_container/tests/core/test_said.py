"""A server's events, read as an answer."""

import json
from typing import Any

import pytest

from motherfluxer_model.core.events import Event
from motherfluxer_model.core.said import Overlap, Said, Told
from motherfluxer_model.core.stops import StopFinder
from motherfluxer_model.errors import GenerationError


def delta(text: str | None, reason: str | None = None, **more: Any) -> Event:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
    return Event(json.dumps({"choices": [choice], **more}))


def read(
    *events: Event,
    most_tokens: int = 99,
    overlap: Overlap | None = None,
    stops: tuple[str, ...] = (),
) -> tuple[str, Said]:
    said = Said(StopFinder(stops, ""), most_tokens, overlap)
    texts = []
    for event in events:
        piece = said.take(event)
        texts.append(piece.text if piece else "")
        if said.is_over:
            break
    last = said.finish()
    return "".join(texts) + (last.text if last else ""), said


def test_deltas_are_pieces_of_one_token() -> None:
    text, said = read(delta(None), delta("one"), delta(" two"), delta("", "stop"))
    assert (text, said.reason, said.tokens) == ("one two", "stop", 2)
    assert said.told == Told()


def test_the_servers_own_count_is_better() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 7, "prompt_tokens_details": None}
    _, said = read(delta("one"), Event(json.dumps({"choices": [], "usage": usage})))
    assert said.tokens == 7
    assert said.told == Told(5, 7)


def test_a_count_with_each_delta_says_what_each_holds() -> None:
    said = Said(StopFinder([], ""), 99)
    counts = []
    for text, count in (("one", 1), (" two three", 3), (" four", 4)):
        piece = said.take(delta(text, usage={"prompt_tokens": 2, "completion_tokens": count}))
        assert piece is not None
        counts.append(piece.tokens)
    assert counts == [1, 2, 1]


@pytest.mark.parametrize(
    ("reason", "ours"),
    [("stop", "stop"), ("length", "length"), ("eos_token", "stop"), ("tool_calls", "stop")],
)
def test_every_servers_reason_is_one_of_ours(reason: str, ours: str) -> None:
    assert read(delta("a", reason))[1].reason == ours


def test_the_end_mark_ends_an_answer_that_gave_no_reason() -> None:
    _, said = read(delta("a"), Event("[DONE]"), delta("b"))
    assert (said.reason, said.is_over) == ("stop", True)


def test_without_an_ending_there_is_no_reason() -> None:
    assert read(delta("a"))[1].reason is None


def test_completions_and_whole_answers_are_read_too() -> None:
    text = Event('{"choices": [{"text": "a", "finish_reason": null}]}')
    whole = Event('{"choices": [{"message": {"content": "b"}, "finish_reason": "stop"}]}')
    assert read(text, whole)[0] == "ab"


def test_thoughts_are_no_part_of_the_answer() -> None:
    thought = Event('{"choices": [{"delta": {"reasoning_content": "hm"}}]}')
    text, said = read(thought, delta("yes", "stop"))
    assert (text, said.is_thinking) == ("yes", True)


def test_a_stop_sequence_that_the_server_does_not_know_ends_it_here() -> None:
    text, said = read(delta("one E"), delta("ND two"), delta("!"), stops=("END",))
    assert (text, said.reason, said.is_over) == ("one ", "stop", True)


def test_a_server_without_a_limit_is_stopped_at_it() -> None:
    text, said = read(delta("a"), delta("b"), delta("c"), most_tokens=2)
    assert (text, said.reason) == ("ab", "length")


@pytest.mark.parametrize("cut", range(12))
def test_an_echo_of_the_beginning_is_dropped(cut: int) -> None:
    whole = "one two three"
    text, _ = read(delta(whole[:cut]), delta(whole[cut:]), overlap=Overlap("one two"))
    assert text == " three"


def test_another_beginning_is_no_echo() -> None:
    with pytest.raises(GenerationError, match="another answer"):
        read(delta("two"), overlap=Overlap("one"))


def test_blanks_that_the_server_lost_are_dropped_where_it_says_them_again() -> None:
    assert read(delta("\n"), delta("\nmore"), overlap=Overlap("", "\n\n"))[0] == "more"
    assert read(delta("\nmore"), overlap=Overlap("", "\n\n"))[0] == "more"
    assert read(delta("more"), overlap=Overlap("", "\n\n"))[0] == "more"


@pytest.mark.parametrize(
    "event",
    [
        Event('{"error": {"message": "boom"}}'),
        Event('{"error": "broken "json""}'),
        Event("whatever", "error"),
        Event("{half"),
        Event("[1]"),
        Event("[" * 100_000),
    ],
)
def test_errors_and_garbage_end_the_attempt_for_now(event: Event) -> None:
    with pytest.raises(GenerationError) as caught:
        read(delta("a"), event)
    assert (caught.value.code, caught.value.retryable) == ("engine_error", True)


@pytest.mark.parametrize(
    "data",
    [
        *('{"choices": []}', '{"choices": null}', '{"choices": ["a"]}', "{}", '{"usage": 3}'),
        *('{"choices": [{"delta": null}]}', '{"choices": [{"delta": {"content": 7}}]}'),
    ],
)
def test_what_says_nothing_is_passed_over(data: str) -> None:
    assert read(Event(data), delta("a", "stop"))[0] == "a"
