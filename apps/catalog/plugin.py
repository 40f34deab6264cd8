"""The catalog as the router's port asks for it."""

from apps.catalog import selectors
from apps.catalog.database import in_own_thread
from apps.router.ports import CatalogRouting


class DatabaseCatalog:
    """Answers from the catalog's tables, as they stand at each call."""

    async def default_model(self) -> str | None:
        """Return the default's name, a model's or an alias's, or None when any will do."""
        return await in_own_thread(selectors.default_name)

    async def display_names(self) -> dict[str, str]:
        """Return display names by the name of a model or alias, for those that have one."""
        return await in_own_thread(selectors.display_names)

    async def routing(self) -> CatalogRouting:
        """Return the aliases and what is forbidden, as they stand now."""
        return await in_own_thread(selectors.routing)

    async def hidden_names(self) -> frozenset[str]:
        """Return the names of models and aliases that no list shows, though they can be used."""
        return await in_own_thread(selectors.hidden_names)
