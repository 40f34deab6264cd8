"""Reads of the catalog."""

from apps.catalog.models import CatalogModel


async def default_model_name() -> str | None:
    """Return the default model's name, or None when none is set."""
    names = CatalogModel.objects.filter(is_default=True).values_list("name", flat=True)
    return await names.afirst()


async def display_names() -> dict[str, str]:
    """Return display names by model name, for those that have one."""
    rows = CatalogModel.objects.exclude(display_name="").values_list("name", "display_name")
    return {name: display_name async for name, display_name in rows}
