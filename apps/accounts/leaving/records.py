"""Rows as they stand in a user's export: every column but the secrets."""

import json
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model, QuerySet

# Secrets, and what would open a door: digests, codes, session keys, foreign tokens.
_LEFT_OUT = frozenset(
    {
        "accounts.user.password",
        "accounts.apikey.digest",
        "accounts.apikey.previous_digest",
        "account.emailconfirmation.key",
        "mfa.authenticator.data",
        "socialaccount.socialtoken.token",
        "socialaccount.socialtoken.token_secret",
        "usersessions.usersession.session_key",
        "usersessions.usersession.data",
    }
)


def as_json(value: Any) -> bytes:
    """Write a value as readable JSON."""
    return json.dumps(value, cls=DjangoJSONEncoder, indent=2, ensure_ascii=False).encode()


def columns_of(model: type[Model]) -> list[str]:
    """Return the columns that are no secret."""
    label = model._meta.label_lower
    columns = [field.attname for field in model._meta.concrete_fields]
    return [name for name in columns if f"{label}.{name}" not in _LEFT_OUT]


def rows_as_json(rows: QuerySet[Any]) -> bytes:
    """Write rows with all columns that are no secret."""
    return as_json(list(rows.order_by("pk").values(*columns_of(rows.model))))
