"""Which names of models a key can be limited to."""

from asgiref.sync import async_to_sync

from apps.router import ports
from apps.router.ports import CatalogNames


def model_choices() -> list[tuple[str, str]]:
    """Return aliases and models that were ever announced: the name, and what people are shown.

    What nobody may see or ask for is left out. Call outside the event loop.
    """
    models, catalog = async_to_sync(_read)()
    aliases = {alias.name for alias in catalog.routing.aliases}
    shown = (models | aliases) - catalog.hidden - catalog.routing.forbidden
    return [(name, catalog.display_names.get(name, name)) for name in sorted(shown)]


async def _read() -> tuple[frozenset[str], CatalogNames]:
    instances, catalog = ports.instance_gate.get_or_none(), ports.model_catalog.get_or_none()
    models = frozenset[str]() if instances is None else await instances.known_models()
    return models, CatalogNames() if catalog is None else await catalog.names()
