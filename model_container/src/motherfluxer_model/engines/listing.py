"""What a server tells of its models, read from whichever form it uses."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from motherfluxer_model.core.marks import find_marks
from motherfluxer_model.engines.client import Client, UnreachableError
from motherfluxer_model.engines.files import ModelFiles
from motherfluxer_wire.limits import MAX_NAME_CHARS

DEFAULT_CONTEXT_TOKENS: Final = 4096
REVISION_CHARS: Final = 12
_CONTEXT: Final = (  # in the order of trust: what is served goes before what was trained
    *("max_model_len", "n_ctx", "context_length", "context_window", "max_context_length"),
    *("max_total_tokens", "n_ctx_train", "max_position_embeddings"),
)
# What tells one version of a model from another; the rest may change from one look to the next.
_LASTING: Final = ("root", "parent", "owned_by", "quantization", "dtype", "size", "details")
_NAMED: Final = ("revision", "sha", "digest")


@dataclass(frozen=True, slots=True)
class Entry:
    """One model as the server lists it; `told` is compared by `revision` alone."""

    model_id: str
    revision: str = ""
    is_listed: bool = False
    told: dict[str, Any] = field(default_factory=dict, compare=False)


def make_entry(told: dict[str, Any]) -> Entry:
    """Read one model of a listing; its revision is what the server names so, else a digest."""
    named = next((name for key in _NAMED if isinstance(name := told.get(key), str) and name), "")
    meta = told.get("meta")
    lasting = [told.get(key) for key in (*_LASTING, *_CONTEXT)]
    lasting.append(meta if isinstance(meta, dict) else None)
    return Entry(told["id"], named[:MAX_NAME_CHARS] or _digest([told["id"], lasting]), True, told)


def make_unlisted(model_id: str) -> Entry:
    """Make an entry for a model that the operator names and the server does not list."""
    return Entry(model_id, _digest(model_id))


def _digest(told: object) -> str:
    text = json.dumps(told, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:REVISION_CHARS]


@dataclass(frozen=True, slots=True)
class Listing:
    """A server's answer; `entries` is None where it lives but lists nothing."""

    entries: tuple[Entry, ...] | None
    status: int = 200


async def read_listing(client: Client) -> Listing:
    """Ask what is there. Raises UnreachableError, also for a server that is not ready."""
    reply = await client.talk("/models")
    if reply.status in (502, 503, 504):
        raise UnreachableError(f"the server answers {reply.status}")
    found = reply.body.get("data") if isinstance(reply.body, dict) else reply.body
    if reply.status != 200 or not isinstance(found, list):
        return Listing(None, reply.status)
    told = [one for one in found if isinstance(one, dict) and isinstance(one.get("id"), str)]
    return Listing(tuple(make_entry(one) for one in told if one["id"]))


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a model before it is asked anything."""

    context_tokens: int
    is_context_told: bool
    marks: tuple[str, ...]


async def read_facts(
    client: Client, entry: Entry, files: ModelFiles | None, context_tokens: int
) -> Facts:
    """Put together what the operator, the listing, the server and the model's files say."""
    outside = await _read_outside(client) if not _find_context(entry.told) else {}
    template = outside.get("chat_template")
    settings = outside.get("default_generation_settings")
    sources = [entry.told, entry.told.get("meta"), settings, outside]
    told = context_tokens or next((n for one in sources if (n := _find_context(one))), 0)
    told = told or (files.context_tokens if files else 0)
    marks = [*(files.marks if files else ()), *_strings(outside, ("bos_token", "eos_token"))]
    if isinstance(template, str):
        marks += find_marks(template)
    return Facts(
        context_tokens=told or DEFAULT_CONTEXT_TOKENS,
        is_context_told=bool(told),
        marks=tuple(dict.fromkeys(mark for mark in marks if mark)),
    )


async def _read_outside(client: Client) -> dict[str, Any]:
    """Ask what llama.cpp (`/props`) and TGI (`/info`) tell beside the API."""
    for path in ("/props", "/info"):
        try:
            reply = await client.talk(path, is_outside=True)
        except UnreachableError:
            continue
        if reply.status == 200 and isinstance(reply.body, dict):
            return reply.body
    return {}


def _find_context(told: object) -> int:
    if not isinstance(told, dict):
        return 0
    found = (told.get(name) for name in _CONTEXT)
    return next((n for n in found if isinstance(n, int) and n > 0), 0)


def _strings(told: dict[str, Any], names: Iterable[str]) -> list[str]:
    return [text for name in names if isinstance(text := told.get(name), str)]
