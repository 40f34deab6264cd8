"""Writes down what API keys used."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import F

from apps.accounts.conf import CONF
from apps.accounts.keys.models import ApiKey
from apps.accounts.usage.buffer import UsageRow
from apps.accounts.usage.models import KeyUsage


@transaction.atomic
def usage_add(*, rows: Sequence[UsageRow]) -> None:
    """Add to each key's figures by day and model; what belongs to no key any more is dropped.

    Each row is added to in the database, so several processes may do this at once.
    """
    if not rows:
        return
    keys = ApiKey.objects.filter(token_id__in={row.key_id for row in rows})
    pk_of = dict(keys.values_list("token_id", "pk"))
    # In one order: two processes that add to the same rows would else wait for each other.
    known = sorted(
        (row for row in rows if row.key_id in pk_of),
        key=lambda row: (pk_of[row.key_id], row.day, row.model_name),
    )
    places = [
        {"api_key_id": pk_of[row.key_id], "day": row.day, "model_name": row.model_name}
        for row in known
    ]
    KeyUsage.objects.bulk_create((KeyUsage(**place) for place in places), ignore_conflicts=True)
    for place, row in zip(places, known, strict=True):
        KeyUsage.objects.filter(**place).update(
            requests=F("requests") + row.requests,
            prompt_tokens=F("prompt_tokens") + row.prompt_tokens,
            completion_tokens=F("completion_tokens") + row.completion_tokens,
        )


def usage_remove_old(*, now: datetime) -> int:
    """Remove the days that are past their time; return how many rows went."""
    first_kept = now.astimezone(UTC).date() - timedelta(days=CONF.usage_kept_days)
    removed, _ = KeyUsage.objects.filter(day__lt=first_kept).delete()
    return removed
