"""Reads of the catalog."""

from collections.abc import Iterable

from apps.catalog.models import AliasTarget, CatalogName
from apps.router.ports import AliasEntry, AliasTargetEntry, CatalogRouting


def default_name() -> str | None:
    """Return the default's name, a model's or an alias's, or None when there is none."""
    return CatalogName.objects.filter(is_default=True).values_list("name", flat=True).first()


def display_names() -> dict[str, str]:
    """Return display names by name, for those that have one."""
    named = CatalogName.objects.exclude(display_name="")
    return dict(named.values_list("name", "display_name"))


def hidden_names() -> frozenset[str]:
    """Return the names that no list shows."""
    return frozenset(CatalogName.objects.filter(is_hidden=True).values_list("name", flat=True))


def forbidden_names() -> frozenset[str]:
    """Return the names that nobody may ask for."""
    return frozenset(CatalogName.objects.filter(is_forbidden=True).values_list("name", flat=True))


def routing() -> CatalogRouting:
    """Return the aliases that lead somewhere, and what is forbidden."""
    forbidden = forbidden_names()
    targets: dict[str, list[AliasTargetEntry]] = {}
    for target in _targets_by_name():
        if not {target.alias.name, target.model_name} & forbidden:
            targets.setdefault(target.alias.name, []).append(_entry(target))
    aliases = tuple(AliasEntry(name=name, targets=tuple(to)) for name, to in targets.items())
    return CatalogRouting(aliases=aliases, forbidden=forbidden)


def _targets_by_name() -> Iterable[AliasTarget]:
    """Return all targets, always in the same order: a draw depends on it."""
    by_name = AliasTarget.objects.order_by("alias__name", "model_name", "revision")
    return by_name.select_related("alias")


def _entry(target: AliasTarget) -> AliasTargetEntry:
    return AliasTargetEntry(
        model_name=target.model_name, weight=target.weight, revision=target.revision or None
    )
