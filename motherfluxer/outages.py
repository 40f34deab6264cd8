"""Says that the database or Redis is away, instead of that something went wrong."""

import logging
import sys

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template import loader
from django.views.defaults import server_error as something_went_wrong

from apps.databases import AGAIN_IN_S, DATABASE_AWAY, DATABASE_AWAY_WORDS
from apps.redis_clients import REDIS_AWAY, REDIS_AWAY_WORDS
from apps.router.errors import ErrorCode

logger = logging.getLogger(__name__)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer a request that failed: 503 when what failed comes back by itself, else 500."""
    outage = _outage_of(sys.exc_info()[1])
    if outage is None:
        return something_went_wrong(request)
    code, words = outage
    logger.warning("a page was not served: %s", code, extra={"path": request.path[:128]})
    response: HttpResponse
    if "application/json" in request.headers.get("Accept", ""):
        data = {"error": {"code": code.value, "message": words, "offers_signup": False}}
        response = JsonResponse(data, status=code.http_status)
    else:
        page = loader.render_to_string("503.html", {"words": words})
        response = HttpResponse(page, status=code.http_status)
    response["Retry-After"] = str(AGAIN_IN_S)
    response["Cache-Control"] = "no-store"
    return response


def _outage_of(exception: BaseException | None) -> tuple[ErrorCode, str] | None:
    if isinstance(exception, DATABASE_AWAY):
        return ErrorCode.DATABASE_AWAY, DATABASE_AWAY_WORDS
    if isinstance(exception, REDIS_AWAY):
        return ErrorCode.ROUTER_AWAY, REDIS_AWAY_WORDS
    return None
