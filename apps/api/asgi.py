"""The OpenAI-compatible API: `/v1/…`, below Django's middleware.

A request is routed, its key checked, and handed on; every error becomes its reply here.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

from apps.api.answering import question_answer
from apps.api.cors import cors_headers, preflight_headers
from apps.api.dialects.base import Dialect, openai_error_body
from apps.api.dialects.chat import CHAT
from apps.api.dialects.completions import COMPLETIONS
from apps.api.dialects.messages import MESSAGES
from apps.api.dialects.responses import RESPONSES
from apps.api.errors import ApiError, ClientGoneError, api_error_of
from apps.api.exchange import Exchange, Receive, Scope, Send
from apps.api.model_list import model_show, models_list
from apps.api.request_limits import request_count
from apps.router import ports
from apps.router.errors import ErrorCode
from apps.router.ports import Caller

log = logging.getLogger(__name__)

Handler = Callable[[Exchange, Caller], Awaitable[None]]

_DIALECTS: Final[Mapping[str, Dialect]] = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": COMPLETIONS,
    "/v1/responses": RESPONSES,
    "/v1/messages": MESSAGES,
}
_MODELS_PATH: Final = "/v1/models"
_READ: Final = ("GET", "HEAD")
_CLIENT_GONE_STATUS: Final = 499


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one request."""
    exchange = Exchange(scope, receive, send)
    if dialect := _dialect_around(exchange.path):
        exchange.request_id_headers = dialect.request_id_headers
    try:
        await _serve(exchange)
    except ClientGoneError:
        pass
    except Exception as exception:  # noqa: BLE001 # the rim: whatever it is becomes a reply
        await _reply_error(exchange, api_error_of(exception, request_id=exchange.request_id))
    finally:
        _log_end(exchange)


async def _serve(exchange: Exchange) -> None:
    exchange.headers += cors_headers(exchange)
    methods, handler = _route(exchange.path.rstrip("/"))
    allow = ", ".join((*methods, "OPTIONS"))
    if exchange.method == "OPTIONS":
        headers = preflight_headers(exchange, allow)
        await exchange.reply_empty([(b"allow", allow.encode("ascii")), *headers])
        return
    if exchange.method not in methods:
        words = f"{exchange.path[:128]} does not take {exchange.method[:16]}, only {allow}."
        raise ApiError(ErrorCode.METHOD_NOT_ALLOWED, words, allow=allow)
    caller = await _caller_of(exchange)
    await request_count(exchange, caller)
    await handler(exchange, caller)


def _route(path: str) -> tuple[tuple[str, ...], Handler]:
    if dialect := _DIALECTS.get(path):
        return ("POST",), partial(question_answer, dialect=dialect)
    if path == _MODELS_PATH:
        return _READ, models_list
    if path.startswith(f"{_MODELS_PATH}/"):
        return _READ, model_show
    known = ", ".join(_DIALECTS)
    words = f"There is no {path[:128]} here, only {known} and {_MODELS_PATH}."
    raise ApiError(ErrorCode.NOT_FOUND, words)


def _dialect_around(path: str) -> Dialect | None:
    """Return whose client asks for a path, there or below; None: that cannot be told."""
    for base, dialect in _DIALECTS.items():
        if f"{path}/".startswith(f"{base}/"):
            return dialect
    return None


async def _caller_of(exchange: Exchange) -> Caller:
    """Tell whose key the request bears. Raises ApiError."""
    token = _token_of(exchange)
    gate = ports.caller_gate.get_or_none()
    if not token:
        words = "An API key is needed, as the header `Authorization: Bearer mf_…` or `x-api-key`."
        raise ApiError(ErrorCode.INVALID_API_KEY, words)
    caller = None if gate is None else await gate.identify(token, address=exchange.address)
    if caller is None:
        words = "The API key is not known, has expired or was revoked."
        raise ApiError(ErrorCode.INVALID_API_KEY, words)
    exchange.notes["key"] = caller.key_id
    return caller


def _token_of(exchange: Exchange) -> str:
    """Return what stands where OpenAI's clients put a key, or where Anthropic's do."""
    scheme, _, token = (exchange.header(b"authorization") or "").partition(" ")
    if scheme.lower() != "bearer":
        token = exchange.header(b"x-api-key") or ""
    return token.strip()


async def _reply_error(exchange: Exchange, error: ApiError) -> None:
    if exchange.is_client_gone:
        return
    exchange.notes["error"] = error.code.value
    if exchange.status is None:
        await exchange.reply(error.status, _error_body(exchange, error), error.headers)
    else:
        last = exchange.failure_event(error) if exchange.failure_event else b""
        await exchange.send(last, is_last=True)


def _error_body(exchange: Exchange, error: ApiError) -> object:
    dialect = _dialect_around(exchange.path)
    error_body = openai_error_body if dialect is None else dialect.error_body
    return error_body(error, exchange.request_id)


def _log_end(exchange: Exchange) -> None:
    """Write one line: ids and figures, never content."""
    figures = {
        "request": exchange.request_id,
        "method": exchange.method[:16],
        "route": exchange.path[:128],
        "status": _CLIENT_GONE_STATUS if exchange.is_client_gone else exchange.status,
        "duration_ms": exchange.duration_ms,
    }
    log.info("api request", extra={**figures, **exchange.notes})
