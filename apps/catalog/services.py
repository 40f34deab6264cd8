"""Writes of the catalog. The running router reads it every second."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from apps.catalog import rules
from apps.catalog.errors import AliasInvalidError, AliasUnknownError
from apps.catalog.models import Alias, AliasTarget, CatalogName


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetWish:
    """One model that an alias shall lead to. `revision` "": any."""

    model_name: str
    weight: float = 1.0
    revision: str = ""


@transaction.atomic
def alias_set(
    *,
    name: str,
    targets: Sequence[TargetWish] | None = None,
    display_name: str | None = None,
    note: str | None = None,
) -> Alias:
    """Make an alias, or change it: the targets are replaced, what is None stays as it is.

    Raises AliasInvalidError.
    """
    known = Alias.objects.select_for_update().filter(name=name).first()
    alias = known or Alias(name=name)
    alias.display_name = alias.display_name if display_name is None else display_name
    alias.note = alias.note if note is None else note
    try:
        alias.full_clean()
        rules.alias_name_check(name)
        if not targets and (known is None or targets is not None):
            raise ValidationError("An alias needs at least one model to lead to.")
    except ValidationError as error:
        raise AliasInvalidError(f"Alias '{name}'", error) from error
    if targets is not None:
        alias.targets_since = timezone.now()
    alias.save()
    if targets is not None:
        alias.targets.all().delete()
        for wish in targets:
            _target_add(alias, wish)
    return alias


def alias_targets_changed(*, alias: Alias) -> None:
    """Note that an alias's targets were changed just now: shares are measured from here on."""
    Alias.objects.filter(pk=alias.pk).update(targets_since=timezone.now())


@transaction.atomic
def alias_delete(*, name: str) -> Alias:
    """Delete an alias and return what it was; asking for it is refused from now on.

    Raises AliasUnknownError.
    """
    alias = Alias.objects.filter(name=name).first()
    if alias is None:
        raise AliasUnknownError(name, list(Alias.objects.values_list("name", flat=True)))
    alias.delete()
    return alias


@transaction.atomic
def default_set(*, name: CatalogName) -> CatalogName | None:
    """Make a model or an alias the default, in place of the former one, which is returned.

    Raises ValidationError when it is forbidden.
    """
    former = CatalogName.objects.filter(is_default=True).exclude(pk=name.pk).first()
    CatalogName.objects.filter(is_default=True).exclude(pk=name.pk).update(is_default=False)
    name.is_default = True
    name.validate_constraints()
    name.save()
    return former


def _target_add(alias: Alias, wish: TargetWish) -> None:
    target = AliasTarget(
        alias=alias, model_name=wish.model_name, revision=wish.revision, weight=wish.weight
    )
    try:
        target.full_clean()
        rules.target_name_check(wish.model_name, alias_name=alias.name)
    except ValidationError as error:
        raise AliasInvalidError(f"Target '{target}'", error) from error
    target.save()
