"""Which models the requests for one name went to, as the decision log tells."""

from collections import Counter
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

from apps.router.models import LogEntry

_LOOKED_AT_COUNT: Final = 20_000


class _Asked(Struct, frozen=True):
    attempt: int
    asked_model: str | None
    model_name: str
    revision: str


class _Body(Struct, frozen=True):
    decision: _Asked


def requests_by_model(*, asked_model: str, since: datetime) -> Counter[tuple[str, str]]:
    """Count the requests for a name by the model and revision that they went to.

    Looks at the newest 20,000 entries: a few hours of a busy site, all of a quiet one. What an
    attempt after the first one went to is no news: the model stays.
    """
    newest = LogEntry.objects.order_by("-sequence").values_list("sequence", flat=True).first() or 0
    part = f'"asked_model":{msgspec.json.encode(asked_model).decode()}'
    rows = LogEntry.objects.filter(
        kind="decision",
        sequence__gt=newest - _LOOKED_AT_COUNT,
        made_at__gte=since,
        body__contains=part,
    )
    asked = (
        msgspec.json.decode(body, type=_Body).decision
        for body in rows.values_list("body", flat=True).iterator()
    )
    return Counter(
        (one.model_name, one.revision)
        for one in asked
        if one.attempt == 1 and one.asked_model == asked_model
    )
