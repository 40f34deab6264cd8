"""What a user's API keys used: a page with a plot, and all of it as CSV."""

from collections.abc import AsyncIterator
from datetime import UTC, timedelta
from typing import Final, cast

from channels.db import database_sync_to_async
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.accounts.conf import CONF
from apps.accounts.keys.models import ApiKey
from apps.accounts.keys.selectors import api_keys_of
from apps.accounts.models import User
from apps.accounts.usage import selectors
from apps.accounts.usage.plot import plot_of
from apps.accounts.usage.selectors import DayUsage, KeyUsageRow
from apps.accounts.usage.table import HEAD, csv_lines

SPANS_DAYS: Final = (7, 30, 90)
_USUAL_SPAN_DAYS: Final = 30
_ROWS_AT_ONCE: Final = 500


@require_safe
@login_required
@never_cache
def usage(request: HttpRequest) -> HttpResponse:
    """Show tokens by day and model of the last days, of one key or of all."""
    user_id = cast(User, request.user).pk
    keys = list(api_keys_of(user_id=user_id))
    key = _chosen_key(keys, request.GET.get("key", ""))
    days = _chosen_span(request.GET.get("days", ""))
    until = timezone.now().astimezone(UTC).date()
    since = until - timedelta(days=days - 1)
    found = selectors.usage_by_day(
        user_id=user_id, since=since, key_pk=None if key is None else key.pk
    )
    tokens = {(row.day, row.model_name): row.tokens for row in found}
    context = {
        "keys": keys,
        "key": key,
        "days": days,
        "spans": SPANS_DAYS,
        "kept_days": CONF.usage_kept_days,
        "since": since,
        "until": until,
        "rows": found[::-1],
        "totals": _totals(found),
        "plot": plot_of(tokens, since=since, until=until),
    }
    return render(request, "accounts/usage.html", context)


@require_safe
@login_required
@never_cache
async def usage_csv(request: HttpRequest) -> HttpResponseBase:
    """Send all days that are kept, of one key or of all, as CSV."""
    user_id = cast(User, await request.auser()).pk
    keys = [key async for key in api_keys_of(user_id=user_id)]
    key = _chosen_key(keys, request.GET.get("key", ""))
    lines = _lines(user_id, None if key is None else key.pk)
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="motherfluxer-usage.csv"'
    return response


async def _lines(user_id: int, key_pk: int | None) -> AsyncIterator[bytes]:
    """Read a little at a time: a slow reader holds no database connection."""
    read = database_sync_to_async(selectors.usage_rows, thread_sensitive=False)
    last: KeyUsageRow | None = None
    yield csv_lines([HEAD])
    while rows := await read(user_id=user_id, key_pk=key_pk, after=last, count=_ROWS_AT_ONCE):
        yield csv_lines(_cells(row) for row in rows)
        last = rows[-1]


def _cells(row: KeyUsageRow) -> tuple[object, ...]:
    return (
        *(row.day.isoformat(), row.key_name, row.key_prefix, row.model_name),
        *(row.requests, row.prompt_tokens, row.completion_tokens),
    )


def _chosen_span(text: str) -> int:
    return int(text) if text in {str(days) for days in SPANS_DAYS} else _USUAL_SPAN_DAYS


def _chosen_key(keys: list[ApiKey], text: str) -> ApiKey | None:
    """Return the key of that number, None for all. Raises Http404 for another user's."""
    if not text:
        return None
    for key in keys:
        if str(key.pk) == text:
            return key
    raise Http404


def _totals(rows: list[DayUsage]) -> dict[str, int]:
    return {
        "requests": sum(row.requests for row in rows),
        "prompt_tokens": sum(row.prompt_tokens for row in rows),
        "completion_tokens": sum(row.completion_tokens for row in rows),
        "tokens": sum(row.tokens for row in rows),
    }
