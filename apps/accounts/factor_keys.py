"""Encrypts the secrets of second factors anew with the first key."""

from typing import Any

from allauth.mfa.models import Authenticator
from django.db import transaction

from apps.field_keys import Rotation


def factors_rotate(done: Rotation) -> None:
    """Go through every second factor that has a secret, beside a site that goes on."""
    kinds = (Authenticator.Type.TOTP, Authenticator.Type.RECOVERY_CODES)
    found = Authenticator.objects.filter(type__in=kinds)
    for key in list(found.values_list("pk", flat=True)):
        with transaction.atomic():
            factor = found.select_for_update().filter(pk=key).first()
            if factor is not None and _renew(factor.data, done):
                factor.save(update_fields=["data"])


def _renew(data: dict[str, Any], done: Rotation) -> bool:
    """Renew what allauth has had encrypted; return whether anything changed."""
    before = done.renewed
    for name in ("secret", "seed"):
        if name in data and (fresh := done.fresh(data[name])) is not None:
            data[name] = fresh
            done.renewed += 1
    for number, code in enumerate(data.get("migrated_codes", ())):
        if (fresh := done.fresh(code)) is not None:
            data["migrated_codes"][number] = fresh
            done.renewed += 1
    return done.renewed > before
