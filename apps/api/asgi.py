"""`/v1`: the OpenAI-compatible API, a plain ASGI application below Django's middleware."""

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import msgspec

from apps.api import completions
from apps.api.errors import ApiError, error_body
from apps.api.http import (
    ClientGoneError,
    Headers,
    Receive,
    Scope,
    Send,
    bearer_token,
    read_body,
    send_json,
)
from apps.api.schemas import parse_chat_request
from apps.router import ports, selectors, services
from apps.router.errors import ErrorCode, JobError, JobRefusedError
from apps.router.live.streams import JobStream
from apps.router.ports import Caller

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Exchange:
    """One request and what has become of it."""

    scope: Scope
    receive: Receive
    send: Send
    request_id: str = field(default_factory=lambda: uuid4().hex)
    stream: JobStream | None = None
    has_begun: bool = False

    @property
    def headers(self) -> Headers:
        """What every answer bears."""
        return [(b"x-request-id", self.request_id.encode())]

    async def send_noting(self, message: dict[str, Any]) -> None:
        """Send, noting that the answer has begun."""
        self.has_begun = True
        await self.send(message)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one request of `/v1`."""
    exchange = Exchange(scope, receive, send)
    began = time.monotonic()
    status = 499
    try:
        status = await _serve(exchange)
    except ApiError as refused:
        status = await _send_error(exchange, refused.error, refused.param)
    except JobRefusedError as refused:
        status = await _send_error(exchange, refused.error)
    except ClientGoneError:
        pass
    except Exception:  # the rim of the request: a bug becomes a 500 with an id to find it by
        log.exception("request failed", extra={"request": exchange.request_id})
        status = await _send_error(exchange, completions.internal_error())
    finally:
        stream = exchange.stream
        extra = {
            "request": exchange.request_id,
            "job": stream.job_id if stream else None,
            "instance": stream.started.instance_name if stream and stream.started else None,
            "status": status,
            "duration_ms": round((time.monotonic() - began) * 1000, 1),
        }
        log.info("api request", extra=extra)


async def _serve(exchange: Exchange) -> int:
    path, method = exchange.scope["path"].rstrip("/"), exchange.scope["method"]
    if path == "/v1/chat/completions":
        _check_method(method, "POST")
        return await _complete(exchange, await _caller(exchange.scope))
    if path == "/v1/models" or path.startswith("/v1/models/"):
        _check_method(method, "GET")
        await _caller(exchange.scope)
        return await _send_models(exchange, path.removeprefix("/v1/models").lstrip("/"))
    raise ApiError(ErrorCode.NOT_FOUND, f"There is nothing at {path[:200]}.")


def _check_method(method: str, allowed: str) -> None:
    if method != allowed:
        words = f"Use {allowed} here."
        raise ApiError(ErrorCode.METHOD_NOT_ALLOWED, words, param=allowed)


async def _caller(scope: Scope) -> Caller:
    gate = ports.caller_gate.get_or_none()
    caller = await gate.identify(bearer_token(scope)) if gate else None
    if caller is None:
        words = "The API key is missing, unknown, revoked or expired. Send a header"
        words += " 'Authorization: Bearer mf_…' with a key of your account."
        raise ApiError(ErrorCode.INVALID_API_KEY, words)
    return caller


async def _complete(exchange: Exchange, caller: Caller) -> int:
    request = parse_chat_request(await read_body(exchange.receive))
    stream = exchange.stream = completions.submit(request, caller, exchange.request_id)
    watch = asyncio.create_task(completions.watch_client(exchange.receive, stream.job_id))
    scope, send, headers = exchange.scope, exchange.send_noting, exchange.headers
    try:
        if request.stream:
            return await completions.answer_streamed(
                scope, send, stream, headers, includes_usage=request.includes_usage
            )
        return await completions.answer_whole(scope, send, stream, headers)
    finally:
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch
        if stream.ended is None:
            services.job_cancel(job_id=stream.job_id, reason="the request ended")


async def _send_models(exchange: Exchange, wanted: str) -> int:
    models = [
        {
            "id": model.name,
            "object": "model",
            "created": model.created_at,
            "owned_by": "motherfluxer",
            "context_tokens": model.context_tokens,
            "max_output_tokens": model.max_output_tokens,
            "instances": model.instances,
        }
        for model in selectors.router_view().models
    ]
    body: Any = {"object": "list", "data": models}
    if wanted:
        body = next((model for model in models if model["id"] == wanted), None)
        if body is None:
            words = f"The model '{wanted[:128]}' is not served now."
            raise ApiError(ErrorCode.MODEL_NOT_FOUND, words, param="model")
    await send_json(exchange.send, 200, msgspec.json.encode(body), exchange.headers)
    return 200


async def _send_error(exchange: Exchange, error: JobError, param: str | None = None) -> int:
    status = error.code.http_status
    if exchange.has_begun:
        await exchange.send({"type": "http.response.body", "body": b""})
        return status
    headers = exchange.headers
    if exchange.stream is not None:
        headers += completions.job_headers(exchange.scope, exchange.stream)
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if error.code is ErrorCode.METHOD_NOT_ALLOWED:
        headers.append((b"allow", (param or "").encode()))
        param = None
    if error.retry_after_s is not None:
        headers.append((b"retry-after", str(error.retry_after_s).encode()))
    await send_json(exchange.send, status, error_body(error, param), headers)
    return status
