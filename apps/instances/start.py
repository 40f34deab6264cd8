"""The command that starts an instance for the site that an operator looks at."""

import shlex
from urllib.parse import urlsplit

PLACEHOLDER = "mfi_…"
EXAMPLE_MODEL = "microsoft/phi-2"
BUNDLED_MODEL = "tiny/motherfluxer-tiny"


def router_address(public: str) -> str:
    """Return what an instance connects to. Programs, unlike browsers, know only plain localhost."""
    parts = urlsplit(public)
    if not (parts.hostname or "").endswith(".localhost"):
        return public
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://localhost{port}"


def start_command(*, public: str, credential: str = PLACEHOLDER, model: str = EXAMPLE_MODEL) -> str:
    """Return one command line. In the environment no other user of the machine sees a secret."""
    return (
        f"MOTHERFLUXER_CREDENTIAL={shlex.quote(credential) if credential.isascii() else credential}"
        f" .venv/bin/motherfluxer-model run --router {router_address(public)} --model {model}"
    )
