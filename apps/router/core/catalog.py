"""What a model's name stands for: itself, or one of an alias's targets. Pure."""

from apps.router.core.effects import Effect
from apps.router.core.events import CatalogChanged
from apps.router.core.state import RouterState
from apps.router.core.values import AliasTarget


def catalog_changed(state: RouterState, event: CatalogChanged, now: float) -> list[Effect]:
    """Note what the catalog says; jobs that were taken keep their target."""
    state.aliases = {alias.name: alias for alias in event.aliases}
    state.forbidden_models = set(event.forbidden)
    return []


def resolve(state: RouterState, name: str | None) -> AliasTarget | None:
    """Draw an alias's target by weight, among those that are served now; None: not an alias.

    While none is served, among all: the job then waits for the one that it drew.
    """
    alias = state.aliases.get(name) if name is not None else None
    if alias is None:
        return None
    allowed = [t for t in alias.targets if t.model_name not in state.forbidden_models]
    served = [t for t in allowed if state.is_served(t.model_name, t.revision)]
    return _draw(served or allowed or list(alias.targets), state.next_draw())


def context_for(
    state: RouterState, tokens: int, model_name: str | None, revision: str | None
) -> int | None:
    """Return a served context that holds a prompt, or else the longest; None without any."""
    longest: int | None = None
    for instance in state.instances.values():
        for model in instance.models.values():
            if model_name is not None and model.name != model_name:
                continue
            if revision is not None and model.revision != revision:
                continue
            if model.context_tokens > tokens:
                return model.context_tokens
            longest = max(longest or 0, model.context_tokens)
    return longest


def _draw(targets: list[AliasTarget], point: float) -> AliasTarget:
    at = point * sum(target.weight for target in targets)
    for target in targets:
        at -= target.weight
        if at < 0:
            return target
    return targets[-1]
