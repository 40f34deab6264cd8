"""How one server wants to be asked for one model, and the requests made that way. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from motherfluxer_wire.frames import Message, Sampling

CHAT_PATH: Final = "/chat/completions"
TEXT_PATH: Final = "/completions"
MAX_SENT_STOPS: Final = 4  # OpenAI's own limit; all of them are looked for here as well
SEED_BITS: Final = 31  # what every server takes
# Beside the limit of tokens. A server may refuse any; then it is left out for all jobs.
OPTIONAL_FIELDS: Final = (
    *("temperature", "top_p", "stop", "seed", "frequency_penalty", "presence_penalty"),
    "stream_options",
)
USAGE_EACH_TIME: Final = {"include_usage": True, "continuous_usage_stats": True}  # vLLM, SGLang
USAGE_AT_THE_END: Final = {"include_usage": True}

Render = Callable[[Sequence[Message]], str]


class Way(StrEnum):
    """How a server is made to go on with a partial answer."""

    FINAL_MESSAGE = "continue_final_message"  # vLLM, SGLang
    LAST_MESSAGE = "a last message of the assistant's"  # llama.cpp, Ollama, TGI
    TEMPLATE = "the rendered conversation as text"  # by /completions, with the template given here


@dataclass(frozen=True, slots=True)
class Manner:
    """What was found out by asking."""

    model_id: str
    fields: frozenset[str] = frozenset(OPTIONAL_FIELDS)
    stream_options: dict[str, bool] | None = None
    limit_field: str = "max_tokens"
    way: Way | None = None
    is_echoing: bool = False  # says the given beginning again before it goes on
    is_trimming: bool = False  # loses blanks at the beginning's end


@dataclass(frozen=True, slots=True)
class Call:
    """One streaming request."""

    path: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask: a conversation, the answer so far, and how to draw."""

    messages: tuple[Message, ...]
    most_tokens: int
    prefix: str = ""
    sampling: Sampling = field(default_factory=Sampling)

    def at_most(self, tokens: int) -> "Question":
        """Give the same with another limit."""
        return replace(self, most_tokens=tokens)


def make_call(manner: Manner, question: Question, render: Render | None = None) -> Call:
    """Write a question down; one with a prefix, or with `render`, goes the manner's way."""
    body: dict[str, Any] = {"model": manner.model_id, "stream": True}
    path = CHAT_PATH
    if render is not None and manner.way is Way.TEMPLATE:
        path = TEXT_PATH
        body["prompt"] = render(question.messages) + question.prefix
    else:
        said = [{"role": one.role, "content": one.content} for one in question.messages]
        if question.prefix:
            said.append({"role": "assistant", "content": question.prefix})
        body["messages"] = said
        if question.prefix and manner.way is Way.FINAL_MESSAGE:
            body |= {"continue_final_message": True, "add_generation_prompt": False}
    limit_field = "max_tokens" if path == TEXT_PATH else manner.limit_field
    body[limit_field] = question.most_tokens
    return Call(path, body | _options(manner, question.sampling))


def _options(manner: Manner, sampling: Sampling) -> dict[str, Any]:
    given = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "stop": sampling.stop[:MAX_SENT_STOPS] if sampling.stop else None,
        "seed": None if sampling.seed is None else sampling.seed % (1 << SEED_BITS),
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        "stream_options": manner.stream_options,
    }
    return {
        name: value for name, value in given.items() if value is not None and name in manner.fields
    }
