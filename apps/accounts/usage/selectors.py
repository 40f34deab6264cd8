"""Reads what API keys used."""

from dataclasses import dataclass
from datetime import date

from django.db.models import Q, QuerySet, Sum

from apps.accounts.usage.models import KeyUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class DayUsage:
    """What a user's keys used of one model on one day (UTC)."""

    day: date
    model_name: str
    requests: int
    prompt_tokens: int
    completion_tokens: int

    @property
    def tokens(self) -> int:
        """Those of prompts and answers together."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUsageRow:
    """One row of the table, with what names it."""

    pk: int
    day: date
    key_name: str
    key_prefix: str
    model_name: str
    requests: int
    prompt_tokens: int
    completion_tokens: int


def usage_counted(*, user_id: int) -> QuerySet[KeyUsage]:
    """Return all that a user's keys used, for a list that is filtered and cut into pages."""
    return KeyUsage.objects.filter(api_key__user_id=user_id).select_related("api_key")


def usage_by_day(*, user_id: int, since: date, key_pk: int | None = None) -> list[DayUsage]:
    """Return a user's usage from a day on by day and model, of one key or of all."""
    found = KeyUsage.objects.filter(api_key__user_id=user_id, day__gte=since)
    if key_pk is not None:
        found = found.filter(api_key_id=key_pk)
    sums = (
        found.values("day", "model_name")
        .order_by("day", "model_name")
        .annotate(
            all_requests=Sum("requests"),
            prompt=Sum("prompt_tokens"),
            completion=Sum("completion_tokens"),
        )
    )
    return [
        DayUsage(
            day=row["day"],
            model_name=row["model_name"],
            requests=row["all_requests"],
            prompt_tokens=row["prompt"],
            completion_tokens=row["completion"],
        )
        for row in sums
    ]


def usage_rows(
    *, user_id: int, key_pk: int | None = None, after: KeyUsageRow | None = None, count: int
) -> list[KeyUsageRow]:
    """Return the next rows of a user's usage by day, of one key or of all."""
    found = KeyUsage.objects.filter(api_key__user_id=user_id)
    if key_pk is not None:
        found = found.filter(api_key_id=key_pk)
    if after is not None:
        found = found.filter(Q(day__gt=after.day) | Q(day=after.day, pk__gt=after.pk))
    return [
        KeyUsageRow(
            pk=row.pk,
            day=row.day,
            key_name=row.api_key.name,
            key_prefix=row.api_key.prefix,
            model_name=row.model_name,
            requests=row.requests,
            prompt_tokens=row.prompt_tokens,
            completion_tokens=row.completion_tokens,
        )
        for row in found.select_related("api_key").order_by("day", "pk")[:count]
    ]
