"""How the fake OpenAI-compatible server answers: it says the last user message again. Pure.

Its tokens are words with the blanks before them. Whatever real servers do differently from each
other can be set.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from motherfluxer_model.engines.echo import split_words

MARK = "<|im_end|>"


@dataclass
class Habits:
    """How this server behaves; the default is a model pupil without continuing."""

    continues_by: str = ""  # "flag": continue_final_message, "last": a last assistant's message
    refused_fields: frozenset[str] = frozenset()
    is_echoing: bool = False
    is_trimming: bool = False
    is_counting: bool = True  # tells usage
    is_obeying_marks: bool = False
    has_end_mark: bool = True  # sends [DONE]
    context_tokens: int = 1000
    has_text_path: bool = False  # /v1/completions takes "U:question A:beginning"


@dataclass
class Refusal:
    """An answer that is an HTTP error."""

    status: int
    message: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Answer:
    """The events of one stream, in order."""

    events: list[str]


class Parrot:
    """Makes answers."""

    def __init__(self, habits: Habits) -> None:
        self.habits = habits

    def answer(self, path: str, body: dict[str, Any]) -> Answer | Refusal:
        """Answer one request."""
        refused = self.habits.refused_fields & set(body)
        if refused:
            return Refusal(422, f"Unexpected fields in the request: {sorted(refused)}")
        if path.endswith("/chat/completions"):
            messages = body["messages"]
        elif self.habits.has_text_path:
            said, _, begun = body["prompt"].removeprefix("U:").partition(" A:")
            messages = [{"role": "user", "content": said}]
            messages += [{"role": "assistant", "content": begun}] if begun else []
        else:
            return Refusal(404, "Not Found")
        return self._answer(body, messages, is_chat=path.endswith("/chat/completions"))

    def _answer(
        self, body: dict[str, Any], messages: list[dict[str, str]], *, is_chat: bool
    ) -> Answer | Refusal:
        prefix = self._find_prefix(body, messages, is_chat=is_chat)
        # Each turn costs two; the one that is gone on with stands in the place of the answer's.
        turns_count = len(messages) - bool(prefix)
        prompt_tokens = 2 * turns_count + sum(self._count(one["content"]) for one in messages)
        limit = body.get("max_tokens") or body.get("max_completion_tokens") or 100
        if prompt_tokens + limit > self.habits.context_tokens:
            words = f"This model's maximum context length is {self.habits.context_tokens} tokens"
            return Refusal(400, f"{words}. However, you requested {prompt_tokens + limit} tokens.")
        said = [one["content"] for one in messages if one["role"] == "user"]
        whole = said[-1] if said else ""
        rest = whole[len(prefix) :] if whole.startswith(prefix) else ""
        if prefix and not rest:
            rest = "".join(split_words(whole)[len(split_words(prefix)) :])
        tokens = split_words(rest)
        reason = "length" if len(tokens) > limit else "stop"
        tokens = tokens[:limit]
        usage = {"prompt_tokens": prompt_tokens, "completion_tokens": len(tokens)}
        shown = [prefix + tokens[0], *tokens[1:]] if self.habits.is_echoing and tokens else tokens
        return Answer(list(self._events(shown, reason, usage, is_chat=is_chat)))

    def _find_prefix(
        self, body: dict[str, Any], messages: list[dict[str, str]], *, is_chat: bool
    ) -> str:
        if messages[-1]["role"] != "assistant":
            return ""
        by = self.habits.continues_by
        is_asked = by == "last" or (by == "flag" and bool(body.get("continue_final_message")))
        if is_chat and not is_asked:
            return ""
        text = messages[-1]["content"]
        if self.habits.is_trimming:
            messages[-1]["content"] = text = text.rstrip()
        return text

    def _count(self, text: str) -> int:
        """Count tokens: words, blank lines, and the bars of marks that are no more than text."""
        marks_count = text.count(MARK) if self.habits.is_obeying_marks else 0
        text = text.replace(MARK, "") if marks_count else text
        bars_count = sum(text.count(bar) for bar in "<>[]")
        return marks_count + len(split_words(text)) + bars_count + text.count("\n\n")

    def _events(
        self, tokens: list[str], reason: str, usage: dict[str, int], *, is_chat: bool
    ) -> Iterator[str]:
        for token in tokens:
            yield _event({"delta": {"content": token}} if is_chat else {"text": token})
        last: dict[str, Any] = {"delta": {}} if is_chat else {"text": ""}
        yield _event({**last, "finish_reason": reason})
        if self.habits.is_counting:
            yield json.dumps({"choices": [], "usage": usage})
        if self.habits.has_end_mark:
            yield "[DONE]"


def _event(choice: dict[str, Any]) -> str:
    return json.dumps({"choices": [{"index": 0, "finish_reason": None, **choice}]})
