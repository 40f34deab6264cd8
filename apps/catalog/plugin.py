"""The catalog as the router's port asks for it."""

from apps.catalog import selectors


class DatabaseCatalog:
    """Answers from the catalog's table."""

    async def default_model(self) -> str | None:
        """Return the default model's name, or None when any will do."""
        return await selectors.default_model_name()

    async def display_names(self) -> dict[str, str]:
        """Return display names by model name."""
        return await selectors.display_names()
