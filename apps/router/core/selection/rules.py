"""All selection rules by name. Pure."""

from typing import Final

from apps.router.core.errors import UnknownRuleError
from apps.router.core.selection.latency import C3, HotCold, PeakEwma
from apps.router.core.selection.plain import LeastLoaded, Random, RoundRobin, TwoChoices
from apps.router.core.selection.port import Rule
from apps.router.core.selection.prefix import PrefixAffinity
from apps.router.core.selection.soonest import Soonest

_ALL: Final[tuple[Rule, ...]] = (
    Soonest(),
    Random(),
    RoundRobin(),
    LeastLoaded(),
    TwoChoices(),
    PeakEwma(),
    C3(),
    HotCold(),
    PrefixAffinity(),
)

RULES: Final[dict[str, Rule]] = {rule.name.partition("/")[0]: rule for rule in _ALL}


def rule_named(name: str) -> Rule:
    """Return a rule by its name, without its version. Raises UnknownRuleError."""
    rule = RULES.get(name)
    if rule is None:
        raise UnknownRuleError(name, list(RULES))
    return rule
