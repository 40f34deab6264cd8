"""What the catalog says, in the core's words."""

from apps.router import ports
from apps.router.core.events import CatalogChanged
from apps.router.core.values import Alias, AliasTarget


async def catalog_routing() -> ports.CatalogRouting:
    """Read the catalog; an empty one where no app has any."""
    catalog = ports.model_catalog.get_or_none()
    return ports.CatalogRouting() if catalog is None else await catalog.routing()


def catalog_event(routing: ports.CatalogRouting) -> CatalogChanged:
    """Say it to the core."""
    aliases = tuple(
        Alias(
            alias.name,
            tuple(AliasTarget(to.model_name, to.weight, to.revision) for to in alias.targets),
        )
        for alias in routing.aliases
    )
    return CatalogChanged(aliases=aliases, forbidden=tuple(sorted(routing.forbidden)))
