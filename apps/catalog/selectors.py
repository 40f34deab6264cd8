"""Reads of the catalog."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from asgiref.sync import async_to_sync

from apps.catalog.models import Alias, AliasTarget, CatalogName
from apps.router import ports
from apps.router.ports import AliasEntry, AliasTargetEntry, CatalogNames, CatalogRouting
from apps.router.selectors import requests_by_model


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one target gets of its alias's requests, from 0 to 1, while all targets are served."""

    target: AliasTarget
    share: float
    is_forbidden: bool

    @property
    def words(self) -> str:
        """The share for people."""
        return "none: forbidden" if self.is_forbidden else _percent(self.share)


def names() -> CatalogNames:
    """Return how people meet the names, and the routing that goes with that."""
    rows = list(CatalogName.objects.all())
    found = _routing(frozenset(row.name for row in rows if row.is_forbidden))
    default = next((row.name for row in rows if row.is_default), None)
    aliases = set(Alias.objects.values_list("name", flat=True))
    leading = {alias.name for alias in found.aliases}
    return CatalogNames(
        routing=found,
        # An alias all of whose models are forbidden leads nowhere: then any model will do.
        default=None if default in aliases - leading else default,
        display_names={row.name: row.display_name for row in rows if row.display_name},
        hidden=frozenset(row.name for row in rows if row.is_hidden),
    )


def routing() -> CatalogRouting:
    """Return the aliases that lead somewhere, and what is forbidden."""
    return _routing(forbidden_names())


def forbidden_names() -> frozenset[str]:
    """Return the names that nobody may ask for."""
    return frozenset(CatalogName.objects.filter(is_forbidden=True).values_list("name", flat=True))


def alias_shares(*, alias: Alias) -> list[Share]:
    """Return an alias's targets with their shares, the largest first."""
    forbidden = forbidden_names()
    targets = list(alias.targets.all())
    out = {target.pk for target in targets if target.model_name in forbidden}
    total = sum(target.weight for target in targets if target.pk not in out)
    return [
        Share(
            target=target,
            share=0.0 if target.pk in out else target.weight / total,
            is_forbidden=target.pk in out,
        )
        for target in targets
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Where an alias's requests went since its targets changed: by model, with count and share."""

    since: datetime
    requests: int
    lines: tuple[tuple[str, int, str], ...]


def alias_measured(*, alias: Alias) -> Measured:
    """Return where an alias's requests really went, the most frequent model first."""
    counts = requests_by_model(asked_model=alias.name, since=alias.targets_since)
    total = sum(counts.values())
    by_count = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    lines = tuple(
        (f"{model}@{revision}" if revision else model, count, _percent(count / total))
        for (model, revision), count in by_count
    )
    return Measured(since=alias.targets_since, requests=total, lines=lines)


def announced_models() -> frozenset[str]:
    """Return the names of all models that instances have ever announced. Not from async code."""
    gate = ports.instance_gate.get_or_none()
    return frozenset() if gate is None else async_to_sync(gate.known_models)()


def unnamed_models() -> list[str]:
    """Return the announced models that the catalog says nothing about, by name."""
    known = CatalogName.objects.values_list("name", flat=True)
    return sorted(announced_models().difference(known))


def _routing(forbidden: frozenset[str]) -> CatalogRouting:
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


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"
