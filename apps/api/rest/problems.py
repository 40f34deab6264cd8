"""Every error under `/api/` as problem details (RFC 9457), with a code of ours."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any, Final
from uuid import uuid4

from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.http import Http404
from rest_framework import exceptions
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import set_rollback

from apps.databases import AGAIN_IN_S, DATABASE_AWAY, DATABASE_AWAY_WORDS
from apps.redis_clients import REDIS_AWAY, REDIS_AWAY_WORDS
from apps.router.errors import ErrorCode, JobRefusedError

PROBLEM_TYPE: Final = "application/problem+json"

log = logging.getLogger(__name__)

_CODES: Final[tuple[tuple[type[Exception], ErrorCode], ...]] = (
    (exceptions.ValidationError, ErrorCode.INVALID_REQUEST),
    (exceptions.ParseError, ErrorCode.INVALID_REQUEST),
    (exceptions.AuthenticationFailed, ErrorCode.INVALID_API_KEY),
    (exceptions.NotAuthenticated, ErrorCode.AUTHENTICATION_REQUIRED),
    (exceptions.PermissionDenied, ErrorCode.PERMISSION_DENIED),
    (PermissionDenied, ErrorCode.PERMISSION_DENIED),
    (exceptions.NotFound, ErrorCode.NOT_FOUND),
    (Http404, ErrorCode.NOT_FOUND),
    (exceptions.MethodNotAllowed, ErrorCode.METHOD_NOT_ALLOWED),
    (exceptions.NotAcceptable, ErrorCode.NOT_ACCEPTABLE),
    (exceptions.UnsupportedMediaType, ErrorCode.UNSUPPORTED_MEDIA_TYPE),
    (exceptions.Throttled, ErrorCode.RATE_LIMIT_EXCEEDED),
    (RequestDataTooBig, ErrorCode.REQUEST_TOO_LARGE),
    (SuspiciousOperation, ErrorCode.INVALID_REQUEST),
    *((kind, ErrorCode.DATABASE_AWAY) for kind in DATABASE_AWAY),
    *((kind, ErrorCode.ROUTER_AWAY) for kind in REDIS_AWAY),
)
_WORDS: Final = {
    ErrorCode.NOT_FOUND: "There is nothing here that you may see.",
    ErrorCode.PERMISSION_DENIED: "You may not do this.",
    ErrorCode.REQUEST_TOO_LARGE: "The request is too large.",
    ErrorCode.DATABASE_AWAY: DATABASE_AWAY_WORDS,
    ErrorCode.ROUTER_AWAY: REDIS_AWAY_WORDS,
    ErrorCode.AUTHENTICATION_REQUIRED: (
        "Sign in, or send an API key that may manage, as the header `Authorization: Bearer mf_…`."
    ),
}


class ProblemRenderer(JSONRenderer):
    """Writes a problem."""

    media_type = PROBLEM_TYPE
    format = "problem"


def problem_response(exception: Exception, context: Mapping[str, Any]) -> Response:
    """Turn any exception of a view into its reply: Django REST framework's `EXCEPTION_HANDLER`."""
    set_rollback()
    request: Request = context["request"]
    code = code_of(exception)
    if code is ErrorCode.INTERNAL_ERROR:
        body = _unexpected(exception)
    else:
        body = {**_heading(code), "detail": _detail(exception, code)}
    if isinstance(exception, exceptions.ValidationError):
        body["errors"] = list(_faults(exception.get_full_details()))
    _speak_json(request)
    return Response(body, status=code.http_status, headers=_headers(exception))


def code_of(exception: Exception) -> ErrorCode:
    """Return the code of an exception; one that carries a code of ours keeps it."""
    if isinstance(exception, JobRefusedError):
        return exception.error.code
    if isinstance(exception, exceptions.APIException):
        own = exception.get_codes()
        if isinstance(own, ErrorCode):
            return own
    for kind, code in _CODES:
        if isinstance(exception, kind):
            return code
    return ErrorCode.INTERNAL_ERROR


def _heading(code: ErrorCode) -> dict[str, Any]:
    return {
        "type": f"urn:motherfluxer:error:{code}",
        "title": code.value.replace("_", " ").capitalize(),
        "status": code.http_status,
        "code": code.value,
    }


def _unexpected(exception: Exception) -> dict[str, Any]:
    request_id = str(uuid4())
    log.error("a request to /api/ failed", exc_info=exception, extra={"request": request_id})
    detail = f"Something went wrong on our side. Quote {request_id} when you report it."
    heading = _heading(ErrorCode.INTERNAL_ERROR)
    return {**heading, "detail": detail, "instance": f"urn:uuid:{request_id}"}


def _detail(exception: Exception, code: ErrorCode) -> str:
    if isinstance(exception, JobRefusedError):
        return exception.error.message
    if isinstance(exception, exceptions.ValidationError):
        return "The request is not what this address takes; `errors` says where."
    is_ours = isinstance(exception, exceptions.APIException)
    if is_ours and code not in (ErrorCode.NOT_FOUND, ErrorCode.AUTHENTICATION_REQUIRED):
        return str(getattr(exception, "detail", ""))
    return _WORDS.get(code, "The request cannot be served.")


def _faults(found: Any, field: str = "") -> Iterator[dict[str, str]]:
    """List what is wrong, each with the path of its field: `allowed_models.0`."""
    if isinstance(found, Mapping) and set(found) == {"message", "code"}:
        yield {"field": field, "detail": str(found["message"]), "code": str(found["code"])}
        return
    named = found.items() if isinstance(found, Mapping) else _numbered(found)
    for name, inner in named:
        own = "" if name in ("", "non_field_errors") else str(name)
        yield from _faults(inner, ".".join(part for part in (field, own) if part))


def _numbered(found: list[Any]) -> Iterator[tuple[str, Any]]:
    """Number the entries of a list of values; the faults of one field have no number."""
    is_field = all(isinstance(one, Mapping) and set(one) == {"message", "code"} for one in found)
    for number, one in enumerate(found):
        yield "" if is_field else str(number), one


def _headers(exception: Exception) -> dict[str, str]:
    headers = {}
    if challenge := getattr(exception, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if (wait_s := getattr(exception, "wait", None)) is not None:
        headers["Retry-After"] = str(max(1, int(wait_s) + 1))
    elif isinstance(exception, (*DATABASE_AWAY, *REDIS_AWAY)):
        headers["Retry-After"] = str(AGAIN_IN_S)
    return headers


def _speak_json(request: Request) -> None:
    """Say it in problem+json, whatever was asked for; but keep the page for a browser."""
    if isinstance(getattr(request, "accepted_renderer", None), BrowsableAPIRenderer):
        return
    request.accepted_renderer = ProblemRenderer()
    request.accepted_media_type = PROBLEM_TYPE
