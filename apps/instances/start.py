"""The command that starts an instance for the site that an operator looks at."""

import shlex

PLACEHOLDER = "mfi_…"
EXAMPLE_MODEL = "microsoft/phi-2"
BUNDLED_MODEL = "tiny/motherfluxer-tiny"


def start_command(*, router: str, credential: str = PLACEHOLDER, model: str = EXAMPLE_MODEL) -> str:
    """Return one command line. In the environment no other user of the machine sees a secret."""
    return (
        f"MOTHERFLUXER_CREDENTIAL={shlex.quote(credential) if credential.isascii() else credential}"
        f" .venv/bin/motherfluxer-model run --router {router} --model {model}"
    )
