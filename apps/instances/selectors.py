"""Reads credentials and the record of instances."""

from datetime import datetime, timedelta

from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet
from django.utils import timezone

from apps.instances.conf import CONF
from apps.instances.errors import (
    CredentialAmbiguousError,
    CredentialUnknownError,
    OperatorUnknownError,
)
from apps.instances.models import Credential, KnownInstance
from motherfluxer_wire.tokens import INSTANCE_PREFIX


def operator_id(*, email: str) -> int:
    """Return the number of the user with that address. Raises OperatorUnknownError."""
    users = get_user_model().objects
    try:
        return users.get_by_natural_key(email).pk
    except users.model.DoesNotExist as error:
        raise OperatorUnknownError(email) from error


def operator_first(*, email: str) -> int:
    """Return the number of the operator with that address, or of the oldest account that is one.

    Raises OperatorUnknownError.
    """
    operators = get_user_model().objects.operators().order_by("pk")
    found = operators.filter(email__iexact=email).first() or operators.first()
    if found is None:
        raise OperatorUnknownError(email)
    return found.pk


def credentials_of(*, operator_id: int | None) -> QuerySet[Credential]:
    """Return one operator's credentials, or everybody's for None."""
    found = Credential.objects.select_related("operator")
    return found if operator_id is None else found.filter(operator_id=operator_id)


def credential_live(*, operator_id: int, name: str) -> Credential | None:
    """Return an operator's credential of that name that is not revoked."""
    return credentials_of(operator_id=operator_id).filter(name=name, revoked_at=None).first()


def credential_of_token(*, token_id: str) -> Credential | None:
    """Return the credential with that public id, its operator read in the same query."""
    return Credential.objects.select_related("operator").filter(token_id=token_id).first()


def credential_find(*, wanted: str) -> Credential:
    """Find one credential by its name or the beginning of its text; live ones come first.

    Raises CredentialUnknownError, CredentialAmbiguousError.
    """
    lead = f"{INSTANCE_PREFIX}_"
    matching = Q(name=wanted)
    if wanted.startswith(lead) and len(wanted) > len(lead):
        # A whole credential, pasted, is told by its id; the rest is not looked at.
        matching = Q(token_id__startswith=wanted.removeprefix(lead).split("_")[0])
    found = list(Credential.objects.select_related("operator").filter(matching))
    candidates = [one for one in found if one.revoked_at is None] or found
    if not candidates:
        raise CredentialUnknownError(wanted)
    if len(candidates) > 1 and len({one.pk for one in candidates}) > 1:
        raise CredentialAmbiguousError(
            wanted, [f"{one.prefix}  {one.name}  {one.operator.email}" for one in candidates]
        )
    return candidates[0]


def tokens_ended(*, token_ids: frozenset[str]) -> frozenset[str]:
    """Return those that admit nobody any more: revoked, expired, or the operator is none."""
    if not token_ids:
        return token_ids
    live = Credential.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=timezone.now()),
        token_id__in=token_ids,
        revoked_at=None,
        operator__in=get_user_model().objects.operators(),
    )
    return token_ids - frozenset(live.values_list("token_id", flat=True))


def instances_known(*, operator_id: int | None) -> QuerySet[KnownInstance]:
    """Return one operator's known instances, or everybody's for None."""
    found = KnownInstance.objects.select_related("credential", "credential__operator")
    return found if operator_id is None else found.filter(credential__operator_id=operator_id)


def instances_away(*, credential_id: int) -> QuerySet[KnownInstance]:
    """Return a credential's instances whose record does not say connected, or is stale."""
    is_away = Q(is_connected=False) | Q(last_seen__lt=_freshest())
    return KnownInstance.objects.filter(is_away, credential_id=credential_id)


def is_recorded_connected(instance: KnownInstance) -> bool:
    """Whether the record says connected and is fresh; a site that was killed leaves stale ones."""
    return instance.is_connected and instance.last_seen >= _freshest()


def model_names_known() -> frozenset[str]:
    """Return the names of all models that an admitted instance has announced."""
    lists = KnownInstance.objects.values_list("served_models", flat=True)
    return frozenset(model["name"] for served in lists for model in served)


def _freshest() -> datetime:
    return timezone.now() - timedelta(seconds=CONF.connected_for_s)
