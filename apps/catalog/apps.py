"""The models: display names and which one is the default."""

from django.apps import AppConfig


class CatalogConfig(AppConfig):
    """Plugs the app into the router."""

    name = "apps.catalog"
    label = "catalog"
