"""Shortening a conversation that is too long for a model. Pure."""

from collections.abc import Iterator, Sequence

from motherfluxer_wire.frames import Message


def shortened(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """Give a conversation whole, then without its oldest messages, down to the last question.

    System messages stay. What is left begins with a question: no model is shown an answer alone.
    """
    yield list(messages)
    system = [message for message in messages if message.role == "system"]
    talk = [message for message in messages if message.role != "system"]
    for start in range(1, len(talk)):
        if talk[start].role == "user":
            yield system + talk[start:]
