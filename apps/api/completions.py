"""Chat completions: one job, answered whole or as it grows."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec

from apps.api.errors import error_body
from apps.api.http import EVENT_STREAM, Headers, Receive, Scope, Send, decision_url, send_json
from apps.api.schemas import ChatRequest
from apps.router import services
from apps.router.errors import ErrorCode, JobError, JobRefusedError
from apps.router.live.streams import Ended, JobRequest, JobStream, Piece
from apps.router.ports import Caller
from motherfluxer_wire.frames import Usage

QUIET_START_S: Final = 1.0
KEEP_ALIVE_S: Final = 5.0
KEEP_ALIVE: Final = b": keep-alive\n\n"

_encode = msgspec.json.Encoder().encode


def submit(request: ChatRequest, caller: Caller, request_id: str) -> JobStream:
    """Hand in the job. Raises JobRefusedError."""
    return services.job_submit(
        request=JobRequest(
            messages=request.turns(),
            requester=caller.requester,
            service_class="registered",
            request_id=request_id,
            sampling=request.sampling(),
            model_name=request.model,
            may_wait_for_instance=False,
        )
    )


async def watch_client(receive: Receive, job_id: str) -> None:
    """Cancel the job when its client hangs up."""
    while (await receive())["type"] != "http.disconnect":
        pass
    services.job_cancel(job_id=job_id, reason="the client hung up")


async def answer_whole(scope: Scope, send: Send, stream: JobStream, base: Headers) -> int:
    """Answer when the job has ended; return the HTTP status. Raises JobRefusedError."""
    ended = await stream.wait_ended()
    if ended.error is not None:
        raise JobRefusedError(ended.error)
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": stream.text, "refusal": None},
        "logprobs": None,
        "finish_reason": ended.finish_reason,
    }
    body = {**_head(stream, "chat.completion"), "choices": [choice], "usage": _usage(stream)}
    await send_json(send, 200, _encode(body), [*base, *job_headers(scope, stream)])
    return 200


async def answer_streamed(
    scope: Scope, send: Send, stream: JobStream, base: Headers, *, includes_usage: bool
) -> int:
    """Answer piece by piece; return the HTTP status.

    Raises JobRefusedError while no byte was sent: a refusal is then an ordinary answer.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(QUIET_START_S):
            await stream.wait_started()
    if stream.ended is not None and stream.ended.error is not None and not stream.text:
        raise JobRefusedError(stream.ended.error)
    head = [*EVENT_STREAM, *base, *job_headers(scope, stream)]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    async for part in _with_keep_alive(_parts(stream, includes_usage=includes_usage)):
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
    return 200


def job_headers(scope: Scope, stream: JobStream) -> Headers:
    """Say who answers, at which attempt, and where the reason stands."""
    headers = [
        (b"x-motherfluxer-attempts", str(stream.attempt).encode()),
        (b"x-motherfluxer-decision", decision_url(scope, stream.job_id).encode()),
    ]
    if stream.started is not None:
        headers.append((b"x-motherfluxer-instance", stream.started.instance_name.encode()))
    return headers


async def _parts(stream: JobStream, *, includes_usage: bool) -> AsyncIterator[bytes]:
    """Yield the events of a stream, ready to send."""
    tail: dict[str, Any] = {"usage": None} if includes_usage else {}
    head = _head(stream, "chat.completion.chunk")

    def event(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return b"data: " + _encode({**head, "choices": [choice], **tail}) + b"\n\n"

    # Only the text differs from piece to piece: what stands around it is written once.
    before, after = event({"content": "\0"}).split(_encode("\0"))
    yield event({"role": "assistant", "content": ""})
    async for happened in stream.read():
        if isinstance(happened, Piece):
            yield before + _encode(happened.text) + after
        elif isinstance(happened, Ended):
            if happened.error is not None:
                yield b"event: error\ndata: " + error_body(happened.error) + b"\n\n"
                return
            yield event({}, happened.finish_reason)
    if includes_usage:
        whole = {**head, "choices": [], "usage": _usage(stream)}
        yield b"data: " + _encode(whole) + b"\n\n"
    yield b"data: [DONE]\n\n"


async def _with_keep_alive(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Put a comment in where nothing has come for a while, so that no proxy gives up."""
    nothing = object()
    pending: asyncio.Task[Any] | None = None
    try:
        while True:
            pending = pending or asyncio.ensure_future(anext(parts, nothing))
            done, _ = await asyncio.wait([pending], timeout=KEEP_ALIVE_S)
            if not done:
                yield KEEP_ALIVE
                continue
            part, pending = pending.result(), None
            if part is nothing:
                return
            yield part
    finally:
        if pending is not None:
            pending.cancel()


def _head(stream: JobStream, kind: str) -> dict[str, Any]:
    model = stream.started.model_name if stream.started else stream.request.model_name
    return {
        "id": f"chatcmpl-{stream.job_id}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
        "system_fingerprint": None,
    }


def _usage(stream: JobStream) -> dict[str, Any]:
    usage = stream.usage or Usage(prompt_tokens=0, completion_tokens=stream.completion_tokens)
    counted: dict[str, Any] = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }
    if usage.cached_tokens is not None:
        counted["prompt_tokens_details"] = {"cached_tokens": usage.cached_tokens}
    return counted


def internal_error() -> JobError:
    """Return the words for a bug of ours."""
    words = "Something went wrong on our side. Try again; the request id helps us find it."
    return JobError(ErrorCode.INTERNAL_ERROR, words)
