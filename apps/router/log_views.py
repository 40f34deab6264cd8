"""The public decision log as a file: one entry a line, as long as a reader wants it."""

from collections.abc import AsyncIterator
from typing import Final

from channels.db import database_sync_to_async
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.router.records import selectors

_LINES_AT_ONCE: Final = 500
# Larger than any entry's number; still within the database's integers.
_MOST: Final = 2**62


@require_safe
@never_cache
async def log(request: HttpRequest) -> HttpResponseBase:
    """Send the entries after the number `after`, at most `limit` of them."""
    try:
        after = _number(request.GET.get("after", "0"))
        limit = _number(request.GET.get("limit", str(_MOST)))
    except ValueError:
        return HttpResponseBadRequest(
            "after and limit are whole numbers.", content_type="text/plain"
        )
    if request.method == "HEAD":
        return HttpResponse(content_type="application/x-ndjson")
    response = StreamingHttpResponse(_lines(after, limit), content_type="application/x-ndjson")
    response["Content-Disposition"] = 'inline; filename="log.jsonl"'
    return response


async def _lines(after: int, left: int) -> AsyncIterator[bytes]:
    """Read a little at a time: a slow reader holds no database connection."""
    read = database_sync_to_async(selectors.log_lines, thread_sensitive=False)
    while left > 0:
        lines, after = await read(after=after, count=min(left, _LINES_AT_ONCE))
        if not lines:
            return
        left -= len(lines)
        yield b"".join(lines)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise ValueError(text)
    return min(int(text), _MOST)
