"""What a dialect is: how a question is read, and how its answer and its errors are written. Pure.

A dialect says nothing of jobs, waiting or cancelling; `apps.api.answering` does that for all.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from apps.api.errors import ApiError
from motherfluxer_wire.frames import Message, Sampling, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What is known when an answer begins. `created`: seconds since the epoch."""

    job_id: str
    model: str
    created: int
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer. `finish_reason`: "stop" or "length"; `usage` None: nobody has told it."""

    head: Head
    text: str
    finish_reason: str
    usage: Usage | None


class EventWriter(ABC):
    """Writes the events of one stream, each as its bytes on the wire.

    keep_alive: is sent while nothing else is.
    """

    keep_alive: ClassVar[bytes] = b": keep-alive\n\n"

    def waiting(self) -> bytes:
        """Return what a stream begins with that has no text yet; asked for first, if at all."""
        return self.keep_alive

    @abstractmethod
    def opening(self) -> bytes:
        """Return what goes before the first piece, or before the ending where there is none."""

    @abstractmethod
    def piece(self, text: str) -> bytes:
        """Return the event of a piece of text: the one path that runs for every token."""

    @abstractmethod
    def ending(self, answer: Answer) -> bytes:
        """Return the last events of a whole answer."""

    @abstractmethod
    def failure(self, error: ApiError) -> bytes:
        """Return the last events of a stream that ends with an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(ABC):
    """What somebody asks for, as the router takes it; and how the answer is to look.

    beginning: the answer goes on from this text, which is no part of it.
    """

    model: str
    messages: tuple[Message, ...]
    sampling: Sampling
    is_streamed: bool
    beginning: str = ""

    @abstractmethod
    def body(self, answer: Answer) -> object:
        """Return the body of a whole answer, to be written as JSON."""

    @abstractmethod
    def writer(self, head: Head) -> EventWriter:
        """Return what writes the streamed answer."""


def openai_error_body(error: ApiError, request_id: str) -> object:
    """Return the body of an error reply as OpenAI's clients read it."""
    return error.body


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One way to ask and to be answered.

    read: makes a question of a body. Raises ApiError and nothing else.
    error_body: makes the body of an error reply, to be written as JSON, of the error and the
        request's id.
    request_id_headers: the names of the headers that tell a request's id.
    """

    read: Callable[[bytes], Question]
    error_body: Callable[[ApiError, str], object] = openai_error_body
    request_id_headers: tuple[bytes, ...] = (b"x-request-id",)
