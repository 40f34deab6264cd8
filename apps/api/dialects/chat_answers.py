"""Chat completions as they are answered: a whole one, or the events of a streamed one. Pure."""

from typing import Any

from apps.api.dialects.base import Answer, Head
from apps.api.dialects.chunks import ChunkWriter
from apps.api.dialects.writing import usage_body


def chat_completion_body(answer: Answer) -> dict[str, Any]:
    """Return a whole answer."""
    message = {"role": "assistant", "content": answer.text, "refusal": None}
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": answer.finish_reason,
    }
    return {
        "id": f"chatcmpl-{answer.head.job_id}",
        "object": "chat.completion",
        "created": answer.head.created,
        "model": answer.head.model,
        "choices": [choice],
        "usage": usage_body(answer.usage),
        "system_fingerprint": None,
    }


class ChatEventWriter(ChunkWriter):
    """Writes one stream's chunks."""

    def __init__(self, head: Head, *, includes_usage: bool) -> None:
        shared = {
            "id": f"chatcmpl-{head.job_id}",
            "object": "chat.completion.chunk",
            "created": head.created,
            "model": head.model,
            "system_fingerprint": None,
        }
        super().__init__(shared, includes_usage=includes_usage)

    def opening(self) -> bytes:
        """Return the event that says who speaks."""
        return self.chunk(_choice({"role": "assistant", "content": "", "refusal": None}, None))

    def choice(self, text: str, finish_reason: str | None = None) -> dict[str, Any]:
        """Return the choice that bears a piece of text, or why the answer ended."""
        return _choice({"content": text} if text else {}, finish_reason)


def _choice(delta: dict[str, Any], finish_reason: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
