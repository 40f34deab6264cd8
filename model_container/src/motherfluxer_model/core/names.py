"""Names and addresses as the operator writes them, made fit for the protocol. Pure."""

import re
from typing import Final
from urllib.parse import urlsplit, urlunsplit

LINK_PATH: Final = "/ws/instances/"
_SCHEMES: Final = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


def is_path(model: str) -> bool:
    """Tell whether a model is named by a place on this disk, not by a hub's id."""
    return model.startswith((".", "/", "~")) or model.count("/") > 1 or "\\" in model


def fit_router_url(text: str) -> str:
    """Make the link's websocket address from any address of the site.

    Raises ValueError, with words for the operator, when it is no address.
    """
    parts = urlsplit(text.strip())
    scheme = _SCHEMES.get(parts.scheme.lower())
    if scheme is None or not parts.hostname:
        raise ValueError(f"the router's address should look like https://host, not {text!r}")
    if parts.query or parts.fragment or parts.username or parts.password:
        raise ValueError("the router's address must hold no user, password, query or fragment")
    path = LINK_PATH if parts.path in ("", "/") else parts.path
    return urlunsplit((scheme, parts.netloc, path, "", ""))


def fit_upstream_url(text: str) -> str:
    """Make the base address of an OpenAI-compatible server, `…/v1` where no path is given.

    Raises ValueError, with words for the operator, when it is no address.
    """
    parts = urlsplit(text.strip())
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise ValueError(f"the server's address should look like http://host:8000/v1, not {text!r}")
    if parts.query or parts.fragment or parts.username or parts.password:
        raise ValueError("the server's address must hold no user, password, query or fragment")
    path = parts.path.rstrip("/").removesuffix("/chat/completions") or "/v1"
    return urlunsplit((parts.scheme.lower(), parts.netloc, path, "", ""))


def fit_instance_name(text: str) -> str:
    """Make a stable instance name (1 to 64 of a-z, 0-9 and -) from any text, say a host name."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:64].strip("-")
    return name or "instance"


def is_instance_name(text: str) -> bool:
    """Tell whether the protocol takes this name as it stands."""
    return re.fullmatch(r"[a-z0-9-]{1,64}", text) is not None


def fit_model_name(text: str) -> str:
    """Make the announced model name from a hub id or a folder: the last part, made to fit."""
    last = re.split(r"[/\\]", text.strip().rstrip("/\\"))[-1]
    name = re.sub(r"[^A-Za-z0-9._:@+-]+", "-", last).lstrip("._:@+-")[:128]
    return name or "model"
