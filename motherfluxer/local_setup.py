"""Prepares the embedded site before it starts: folders, tables, first users, one credential.

Run it as `python -m motherfluxer.local_setup`; doing it again changes nothing.
"""

import os
import signal
import sys
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command, get_commands

from motherfluxer.env import read_environment

CREDENTIAL_NAME = "local"


def folders_make() -> None:
    """Make the folders that the site, the tasks and the mail are written to."""
    for name in ("", "tasks", "tasks-control", "mail"):
        (Path(settings.VAR_DIR) / name).mkdir(mode=0o700, parents=True, exist_ok=True)


def credential_ensure(*, path: Path, name: str) -> None:
    """Keep a working credential for an own instance in a file that only its owner reads.

    It is the first operator's, or another's who is one now. Raises OperatorUnknownError.
    """
    from apps.instances import selectors, services
    from motherfluxer_wire.tokens import INSTANCE_PREFIX, parse_token

    if path.exists():
        kept = parse_token(INSTANCE_PREFIX, path.read_text().strip())
        if kept is not None and not selectors.tokens_ended(token_ids=frozenset({kept.id})):
            return
    operator_id = selectors.operator_first(email=f"operator@{settings.MOTHERFLUXER_DOMAIN}")
    if current := selectors.credential_live(operator_id=operator_id, name=name):
        services.credential_revoke(credential_id=current.pk)
    _, text = services.credential_issue(operator_id=operator_id, name=name)
    _write_private(path, text)


def _write_private(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
    fresh.replace(path)


def main() -> int:
    """Prepare everything that a start needs."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a Ctrl-C ends it without a traceback
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "motherfluxer.settings.dev")
    django.setup()
    folders_make()
    call_command("migrate", interactive=False, verbosity=0)
    if "first_run" in get_commands():
        call_command("first_run")
    credential_ensure(path=read_environment().local_credential_path, name=CREDENTIAL_NAME)
    return 0


if __name__ == "__main__":
    sys.exit(main())
