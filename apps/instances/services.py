"""Issues, rotates and revokes credentials, and keeps the record of instances."""

import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from apps.instances import selectors
from apps.instances.conf import CONF
from apps.instances.errors import (
    CredentialRevokedError,
    NameInvalidError,
    NameTakenError,
    NotAnOperatorError,
    OperatorUnknownError,
)
from apps.instances.models import Credential, KnownInstance, name_validator
from motherfluxer_wire.tokens import INSTANCE_PREFIX, make_token


@transaction.atomic
def credential_issue(
    *,
    operator_id: int,
    name: str,
    allowed_models: Iterable[str] | None = None,
    expires_at: datetime | None = None,
) -> tuple[Credential, str]:
    """Issue a credential; return it and its text, which is kept nowhere.

    Raises OperatorUnknownError, NotAnOperatorError, NameInvalidError, NameTakenError.
    """
    _check_operator(operator_id)
    _check_name(operator_id, name)
    token = make_token(INSTANCE_PREFIX, secrets.randbelow)
    credential = Credential.objects.create(
        name=name,
        operator_id=operator_id,
        token_id=token.id,
        digest=token.digest,
        allowed_models=sorted(set(allowed_models)) if allowed_models else None,
        expires_at=expires_at,
    )
    return credential, token.text


def credential_revoke(*, credential_id: int) -> Credential:
    """Revoke a credential. Its live links are cut by the router, which asks continually.

    Raises CredentialRevokedError when it was revoked before.
    """
    credential = Credential.objects.get(pk=credential_id)
    is_first = Credential.objects.filter(pk=credential_id, revoked_at=None).update(
        revoked_at=timezone.now()
    )
    if not is_first:
        raise CredentialRevokedError(credential.name, credential.prefix)
    credential.refresh_from_db()
    return credential


@transaction.atomic
def credential_rotate(*, credential_id: int) -> tuple[Credential, str]:
    """Revoke a credential and issue another one with the same settings.

    Raises CredentialRevokedError, NotAnOperatorError.
    """
    old = credential_revoke(credential_id=credential_id)
    return credential_issue(
        operator_id=old.operator_id,
        name=old.name,
        allowed_models=old.allowed_models,
        expires_at=old.expires_at,
    )


def credential_used(*, credential_id: int, address: str) -> None:
    """Note when and from where a credential was last accepted."""
    Credential.objects.filter(pk=credential_id).update(
        last_used_at=timezone.now(), last_used_address=address[:64]
    )


def instance_record(
    *,
    token_id: str,
    name: str,
    agent: str,
    served_models: list[dict[str, Any]],
    slots: int,
    region: str,
    hardware: dict[str, Any] | None,
) -> None:
    """Record that an instance is connected, as it introduces itself now."""
    credential = Credential.objects.get(token_id=token_id)
    _, is_new = KnownInstance.objects.update_or_create(
        credential=credential,
        name=name,
        defaults={
            "agent": agent,
            "served_models": served_models,
            "slots": slots,
            "region": region,
            "hardware": hardware,
            "last_seen": timezone.now(),
            "is_connected": True,
        },
    )
    if is_new:
        _forget_beyond(credential)


def _forget_beyond(credential: Credential) -> None:
    """Let go of those that have been away the longest: names are the instances' own choice."""
    surplus = credential.instances.count() - CONF.known_most_count
    if surplus > 0:
        oldest = selectors.instances_away(credential_id=credential.pk).order_by("last_seen", "id")
        KnownInstance.objects.filter(pk__in=oldest.values("pk")[:surplus]).delete()


def instance_disconnect(*, token_id: str, name: str) -> None:
    """Record that an instance's last link has ended."""
    KnownInstance.objects.filter(credential__token_id=token_id, name=name).update(
        last_seen=timezone.now(), is_connected=False
    )


def instances_touch(*, connected: Iterable[tuple[str, str]]) -> None:
    """Record that these instances, by credential and name, are still connected.

    An older link of one that ended at another process may have been recorded meanwhile.
    """
    names_of: dict[str, list[str]] = {}
    for token_id, name in connected:
        names_of.setdefault(token_id, []).append(name)
    now = timezone.now()
    for token_id, names in names_of.items():
        KnownInstance.objects.filter(credential__token_id=token_id, name__in=names).update(
            last_seen=now, is_connected=True
        )


def _check_operator(operator_id: int) -> None:
    user = get_user_model().objects.filter(pk=operator_id).first()
    if user is None:
        raise OperatorUnknownError(operator_id)
    if not (user.is_active and user.is_operator):
        raise NotAnOperatorError(user.email)


def _check_name(operator_id: int, name: str) -> None:
    try:
        name_validator(name)
    except ValidationError as error:
        raise NameInvalidError(" ".join(error.messages)) from error
    longest = 64
    if len(name) > longest:
        raise NameInvalidError(f"A name has at most {longest} characters.")
    taken = selectors.credential_live(operator_id=operator_id, name=name)
    if taken is not None:
        raise NameTakenError(name, taken.operator.email)
