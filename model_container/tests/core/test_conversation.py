"""A conversation is shortened from its beginning, question by question."""

from motherfluxer_model.core.conversation import shortened
from motherfluxer_wire.frames import Message


def talk(*turns: str) -> list[Message]:
    """Make a conversation: s, u and a are for the roles."""
    roles = {"s": "system", "u": "user", "a": "assistant"}
    return [Message(roles[turn[0]], turn) for turn in turns]  # type: ignore[arg-type]


def texts(messages: list[Message]) -> list[list[str]]:
    return [[message.content for message in left] for left in shortened(messages)]


def test_oldest_questions_go_first_with_their_answers() -> None:
    assert texts(talk("u1", "a1", "u2", "a2", "u3")) == [
        ["u1", "a1", "u2", "a2", "u3"],
        ["u2", "a2", "u3"],
        ["u3"],
    ]


def test_system_messages_stay() -> None:
    assert texts(talk("s1", "u1", "a1", "s2", "u2"))[1:] == [["s1", "s2", "u2"]]


def test_last_question_is_never_dropped() -> None:
    assert texts(talk("u1")) == [["u1"]]
    assert texts(talk("u1", "u2"))[-1] == ["u2"]
    assert texts([]) == [[]]
