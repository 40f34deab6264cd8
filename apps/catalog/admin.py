"""The catalog on the superadmin's site."""

from django.contrib import admin

from apps.catalog.models import CatalogModel


@admin.register(CatalogModel)
class CatalogModelAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for mypy alone
    """Names a model for people and makes one the default."""

    list_display = ["name", "display_name", "is_default"]
    search_fields = ["name", "display_name"]
