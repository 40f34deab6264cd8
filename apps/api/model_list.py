"""The models that can be asked for now, in OpenAI's form."""

from typing import Any

from apps.api.errors import ApiError
from apps.api.exchange import Exchange
from apps.router.errors import ErrorCode
from apps.router.ports import Caller
from apps.router.selectors import ModelView, router_view


async def models_list(exchange: Exchange, caller: Caller) -> None:
    """List all of them, by name."""
    models = sorted(router_view().models, key=lambda model: model.name)
    await exchange.reply(200, {"object": "list", "data": [_body(model) for model in models]})


async def model_show(exchange: Exchange, caller: Caller) -> None:
    """Show one. Raises ApiError when no instance serves it now."""
    name = exchange.path.removeprefix("/v1/models/").rstrip("/")
    for model in router_view().models:
        if model.name == name:
            await exchange.reply(200, _body(model))
            return
    words = f"The model {name[:128]!r} does not exist, or no instance serves it now."
    raise ApiError(ErrorCode.MODEL_NOT_FOUND, words, param="model")


def _body(model: ModelView) -> dict[str, Any]:
    return {
        "id": model.name,
        "object": "model",
        "created": model.created_at,
        "owned_by": "motherfluxer",
        "context_tokens": model.context_tokens,
        "max_output_tokens": model.max_output_tokens,
        "instances": model.instances,
    }
