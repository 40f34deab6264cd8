"""Which migrations may run beside the version before them."""

import os
import subprocess
import sys

from tests.migration_rules import ROOT

SAMPLE = "tests.integration.upgrades.outdated_settings"


def judged(**env: str) -> subprocess.CompletedProcess[str]:
    """Run the check as `make check` does."""
    unset = ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE")
    own = {key: value for key, value in os.environ.items() if key not in unset}
    command = [sys.executable, "-m", "tests.migration_rules"]
    return subprocess.run(command, cwd=ROOT, env={**own, **env}, capture_output=True, text=True)


def test_own_migrations_run_beside_the_version_before() -> None:
    done = judged()
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_broken_rule_is_told() -> None:
    done = judged(DJANGO_SETTINGS_MODULE=SAMPLE)
    assert done.returncode == 1, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    names = ("0003_default_by_python", "0004_index_that_locks", "0007_column_taken_away")
    told = ", ".join(f"outdated.{name}" for name in names)
    assert last == f"Not to be run beside the version before: {told}"
    assert "DROPPING columns (table: outdated_note, column: text)" in done.stdout
