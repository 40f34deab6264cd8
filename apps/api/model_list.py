"""The models and aliases that can be asked for now, in OpenAI's form."""

from dataclasses import dataclass
from typing import Any

from apps.api.answering import model_check
from apps.api.errors import ApiError
from apps.api.exchange import Exchange
from apps.router import ports
from apps.router.errors import ErrorCode
from apps.router.ports import AliasEntry, AliasTargetEntry, Caller
from apps.router.selectors import ModelView, router_view


@dataclass(frozen=True, slots=True, kw_only=True)
class _Offered:
    """What can be asked for: by name its body, hidden ones included; and which are hidden."""

    bodies: dict[str, dict[str, Any]]
    hidden: frozenset[str] = frozenset()


async def models_list(exchange: Exchange, caller: Caller) -> None:
    """List all that are not hidden and that the key may ask for, by name."""
    offered = await _offered()
    listed = sorted(offered.bodies.keys() - offered.hidden)
    if caller.allowed_models is not None:
        listed = [name for name in listed if name in caller.allowed_models]
    data = [offered.bodies[name] for name in listed]
    await exchange.reply(200, {"object": "list", "data": data})


async def model_show(exchange: Exchange, caller: Caller) -> None:
    """Show one. Raises ApiError when it is not for this key or no instance serves it now."""
    name = exchange.path.removeprefix("/v1/models/").rstrip("/")
    model_check(caller, name)
    offered = await _offered()
    if name not in offered.bodies:
        words = f"The model {name[:128]!r} does not exist, or no instance serves it now."
        raise ApiError(ErrorCode.MODEL_NOT_FOUND, words, param="model")
    await exchange.reply(200, offered.bodies[name])


async def _offered() -> _Offered:
    """Return what instances serve now and nobody forbids, under all its names."""
    served = {model.name: model for model in router_view().models}
    catalog = ports.model_catalog.get_or_none()
    if catalog is None:
        return _Offered(bodies={name: _body(name, [model]) for name, model in served.items()})
    names = await catalog.names()
    allowed = served.keys() - names.routing.forbidden
    bodies = {name: _body(name, [served[name]]) for name in allowed}
    for alias in names.routing.aliases:
        # The alias counts, should an instance announce a model of its name.
        bodies.pop(alias.name, None)
        if models := _models_behind(alias, served):
            bodies[alias.name] = _body(alias.name, models)
    return _Offered(bodies=bodies, hidden=names.hidden)


def _models_behind(alias: AliasEntry, served: dict[str, ModelView]) -> list[ModelView]:
    """Return the models that an alias leads to and that are served now."""
    names = {target.model_name for target in alias.targets if _is_served(target, served)}
    return [served[name] for name in sorted(names)]


def _is_served(target: AliasTargetEntry, served: dict[str, ModelView]) -> bool:
    model = served.get(target.model_name)
    return model is not None and target.revision in (None, *model.revisions)


def _body(name: str, models: list[ModelView]) -> dict[str, Any]:
    """Return a name's body; an alias promises what every model that it leads to can hold."""
    return {
        "id": name,
        "object": "model",
        "created": min(model.created_at for model in models),
        "owned_by": "motherfluxer",
        "context_tokens": min(model.context_tokens for model in models),
        "max_output_tokens": min(model.max_output_tokens for model in models),
        "instances": sum(model.instances for model in models),
    }
