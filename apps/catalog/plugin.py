"""The catalog as the router's port asks for it."""

from channels.db import database_sync_to_async

from apps.catalog import selectors
from apps.router.ports import CatalogNames, CatalogRouting

# Any free thread, on that thread's own connection: the router asks every second, and whoever
# uses the process-wide thread should not wait for it, nor it for them.
_routing = database_sync_to_async(selectors.routing, thread_sensitive=False)
_names = database_sync_to_async(selectors.names, thread_sensitive=False)


class DatabaseCatalog:
    """Answers from the catalog's tables, as they stand at each call."""

    async def routing(self) -> CatalogRouting:
        """Return the aliases and what is forbidden, as they stand now."""
        found: CatalogRouting = await _routing()
        return found

    async def names(self) -> CatalogNames:
        """Return how the names are to be shown, and the routing that goes with that."""
        found: CatalogNames = await _names()
        return found
