"""What the catalog says, in the core's words."""

from collections.abc import Callable
from typing import Final

from apps.router import ports
from apps.router.core.events import CatalogChanged, Event
from apps.router.core.values import Alias, AliasTarget

CATALOG_CHECK_S: Final = 1.0


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


class CatalogReader:
    """Tells the core what the catalog says, whenever that has changed."""

    def __init__(self, publish: Callable[[Event], None]) -> None:
        self._publish = publish
        self._told = ports.CatalogRouting()

    async def read(self) -> None:
        """Look for a change, and tell it."""
        routing = await catalog_routing()
        if routing != self._told:
            self._told = routing
            self._publish(catalog_event(routing))
