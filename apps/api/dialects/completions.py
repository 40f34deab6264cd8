"""Completions, as they were before chats: a prompt, asked as a single question. Pure."""

from dataclasses import dataclass
from typing import Any, Final

from apps.api.dialects.base import Answer, Dialect, Head, Question
from apps.api.dialects.chunks import ChunkWriter
from apps.api.dialects.parameters import SHARED_NEUTRAL, SharedBody
from apps.api.dialects.writing import usage_body
from apps.api.reading import (
    model_name_read,
    neutral_left_out,
    object_read,
    refuse_invalid,
    refuse_unsupported,
    struct_convert,
    text_check,
)
from motherfluxer_wire.frames import Message

NEUTRAL: Final[dict[str, tuple[object, ...]]] = {
    **SHARED_NEUTRAL,
    "best_of": (1,),
    "echo": (False,),
    "suffix": ("",),
}


class CompletionBody(SharedBody, frozen=True, kw_only=True):
    """The body of a completion: every parameter that is understood, but the neutral ones."""

    prompt: str | list[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionQuestion(Question):
    """A completion that is asked for."""

    includes_usage: bool

    def body(self, answer: Answer) -> object:
        """Return a completion."""
        choice = _choice(answer.text, answer.finish_reason)
        return {**_shared(answer.head), "choices": [choice], "usage": usage_body(answer.usage)}

    def writer(self, head: Head) -> "CompletionEventWriter":
        """Return what writes its pieces."""
        return CompletionEventWriter(head, includes_usage=self.includes_usage)


class CompletionEventWriter(ChunkWriter):
    """Writes one stream's chunks."""

    def __init__(self, head: Head, *, includes_usage: bool) -> None:
        super().__init__(_shared(head), includes_usage=includes_usage)

    def opening(self) -> bytes:
        """Return nothing: the first piece says all."""
        return b""

    def choice(self, text: str, finish_reason: str | None = None) -> dict[str, Any]:
        """Return the choice that bears a piece of text, or why the answer ended."""
        return _choice(text, finish_reason)


def completion_question_read(body: bytes) -> CompletionQuestion:
    """Read a completion's body. Raises ApiError and nothing else."""
    read = struct_convert(neutral_left_out(object_read(body), NEUTRAL), CompletionBody)
    return CompletionQuestion(
        model=model_name_read(read.model),
        messages=(Message("user", _prompt(read.prompt)),),
        sampling=read.sampling(read.max_tokens),
        is_streamed=read.stream,
        includes_usage=read.includes_usage(),
    )


COMPLETIONS: Final = Dialect(read=completion_question_read)


def _prompt(given: str | list[Any]) -> str:
    """Return the one text that is asked. Raises ApiError."""
    prompts = [given] if isinstance(given, str) else given
    if any(isinstance(prompt, int | list) for prompt in prompts):
        refuse_unsupported("prompt", "The prompt must be text: token ids are each model's own.")
    if len(prompts) > 1:
        refuse_unsupported("prompt", "One prompt is answered in a request, not a list of several.")
    if not prompts or not isinstance(prompts[0], str):
        refuse_invalid("must be a text, or a list of one", "prompt")
    if not prompts[0]:
        refuse_invalid("must not be empty", "prompt")
    return text_check(prompts[0], "prompt")


def _shared(head: Head) -> dict[str, Any]:
    """Return what a completion and all its events say alike."""
    return {
        "id": f"cmpl-{head.job_id}",
        "object": "text_completion",
        "created": head.created,
        "model": head.model,
        "system_fingerprint": None,
    }


def _choice(text: str, finish_reason: str | None) -> dict[str, Any]:
    return {"index": 0, "text": text, "logprobs": None, "finish_reason": finish_reason}
