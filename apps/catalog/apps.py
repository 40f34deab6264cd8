"""The models: display names and which one is the default."""

from django.apps import AppConfig


class CatalogConfig(AppConfig):
    """Plugs the app into the router."""

    name = "apps.catalog"
    label = "catalog"

    def ready(self) -> None:
        """Fill the router's port."""
        from apps.catalog.plugin import DatabaseCatalog
        from apps.router import ports

        ports.model_catalog.register(DatabaseCatalog())
