"""Checks that each migration runs beside the version before it: expand first, contract later.

`make check` runs it. What a migration would do is asked of a real PostgreSQL, and judged by
django-migration-linter; `docs/operations/upgrade.md` tells the rules with an example.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.servers import running_servers

ROOT: Final = Path(__file__).resolve().parent.parent
# Made before the first public version: nothing ever ran beside them.
BASELINE: Final = {
    "accounts": "0010_unfinished_sign_up",
    "catalog": "0004_alias_targets_since",
    "chat": "0004_conversation_draft",
    "instances": "0001_initial",
    "router": "0001_initial",
}
# The second step: what takes away what no version that may still run uses. "app.name": why now.
CONTRACTS: Final[dict[str, str]] = {}


def is_judged(app_label: str, name: str) -> bool:
    """Whether a migration has to keep the rules."""
    return name > BASELINE.get(app_label, "") and f"{app_label}.{name}" not in CONTRACTS


def refused(labels: list[str]) -> list[str]:
    """Lint the apps' migrations, which prints what is wrong, and return those that are refused."""
    from django_migration_linter import MigrationLinter

    linter = MigrationLinter(no_cache=True, all_warnings_as_errors=True, quiet=["ok"])
    names = []
    for migration in linter.migration_loader.disk_migrations.values():
        if migration.app_label in labels and is_judged(migration.app_label, migration.name):
            before = linter.nb_erroneous
            linter.lint_migration(migration)
            if linter.nb_erroneous > before:
                names.append(f"{migration.app_label}.{migration.name}")
    return sorted(names)


def judge() -> int:
    """Judge the migrations of the project's own apps, by the database of the environment."""
    import django
    from django.apps import apps

    django.setup()
    folders = {one.label: Path(one.path) for one in apps.get_app_configs()}
    own = [
        label
        for label, folder in folders.items()
        if folder.is_relative_to(ROOT) and "site-packages" not in folder.parts
    ]
    names = refused(own)
    if names:
        sys.stdout.write(f"Not to be run beside the version before: {', '.join(names)}\n")
    return 1 if names else 0


def main() -> int:
    """Judge them on a PostgreSQL of our own; 0 when all keep the rules."""
    with running_servers() as servers, tempfile.TemporaryDirectory() as var:
        env = {**os.environ, "DATABASE_URL": servers.database_url, "MOTHERFLUXER_VAR": var}
        env.setdefault("DJANGO_SETTINGS_MODULE", "motherfluxer.settings.test")
        migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        subprocess.run(migrate, cwd=ROOT, env=env, check=True)
        command = [sys.executable, "-m", "tests.migration_rules", "--judge"]
        return subprocess.run(command, cwd=ROOT, env=env).returncode


if __name__ == "__main__":
    sys.exit(judge() if "--judge" in sys.argv else main())
