"""Which model a question is asked of, and what people see it called."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from apps.router import ports


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """What a question is asked of. `name` may be an alias's; None: any model may answer."""

    name: str | None = None
    behind_alias: frozenset[str] | None = None
    display_names: Mapping[str, str] = field(default_factory=dict)

    def may_be(self, model_name: str) -> bool:
        """Whether that model may be the one that answers."""
        if self.name is None:
            return True
        return model_name in (self.behind_alias or {self.name})

    def label(self, model_name: str) -> str:
        """Return what people see the model called that answers.

        An alias with a name for people stands before the model that was drawn for it.
        """
        shown = self.display_names.get(model_name, model_name)
        alias_shown = self.display_names.get(self.name or "") if self.behind_alias else None
        return f"{alias_shown} ({shown})" if alias_shown else shown


async def model_choice() -> ModelChoice:
    """Ask the catalog; without one any model may answer, under its own name."""
    catalog = ports.model_catalog.get_or_none()
    if catalog is None:
        return ModelChoice()
    names = await catalog.names()
    aliases = {alias.name: alias.targets for alias in names.routing.aliases}
    targets = aliases.get(names.default) if names.default else None
    return ModelChoice(
        name=names.default,
        behind_alias=frozenset(one.model_name for one in targets) if targets else None,
        display_names=names.display_names,
    )
