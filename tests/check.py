"""Checks the code without running it: format, lint, types, imports, deployment, migrations.

`make check` runs it. Every check runs, also after one has failed.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from cryptography.fernet import Fernet

ROOT: Final = Path(__file__).resolve().parent.parent
BIN: Final = Path(sys.executable).parent
TYPED: Final = [
    *("apps", "motherfluxer", "tests", "benchmarks", "manage.py"),
    *("model_container/src", "model_container/tests", "model_container/tiny"),
]


def tool(name: str) -> str:
    """Return the path of a program of this environment."""
    return str(BIN / name)


def checks() -> dict[str, tuple[list[str], dict[str, str]]]:
    """Return every check: its command, and what it needs in the environment."""
    manage = [sys.executable, "-W", "error", "manage.py"]
    production = {
        "DJANGO_SETTINGS_MODULE": "motherfluxer.settings.production",
        "SECRET_KEY": Fernet.generate_key().decode() * 2,
        "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "MOTHERFLUXER_DOMAIN": "motherfluxer.example",
        "TRUSTED_PROXIES": "10.0.0.0/8",
    }
    typed = [path for path in TYPED if has_python(ROOT / path)]
    return {
        "lint": ([tool("ruff"), "check"], {}),
        "format": ([tool("ruff"), "format", "--check"], {}),
        "types": ([tool("mypy"), *typed], {}),
        "imports": ([tool("lint-imports")], {}),
        "deploy": ([*manage, "check", "--deploy", "--fail-level", "WARNING"], production),
        "migrations": ([*manage, "makemigrations", "--check", "--dry-run"], {}),
        "beside": ([sys.executable, "-m", "tests.migration_rules"], {}),
        "architecture": ([sys.executable, "-m", "pytest", "-q", "tests/architecture"], {}),
    }


def has_python(path: Path) -> bool:
    """Whether there is something to check."""
    return path.is_file() or any(path.rglob("*.py"))


def run_check(name: str, command: list[str], env: dict[str, str], var: str) -> bool:
    """Run one check; its output is shown when it fails."""
    started_at = time.monotonic()
    unset = ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE")
    own = {key: value for key, value in os.environ.items() if key not in unset}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**own, "MOTHERFLUXER_VAR": var, "PYTHONPATH": str(ROOT), **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    is_good = done.returncode == 0
    took_s = time.monotonic() - started_at
    sys.stdout.write(f"{'ok    ' if is_good else 'FAILED'}  {name:<14}{took_s:6.1f} s\n")
    if not is_good:
        sys.stdout.write(done.stdout + "\n")
    sys.stdout.flush()
    return is_good


def main() -> int:
    """Run the checks named on the command line, or all; 0 when all are good."""
    chosen = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="motherfluxer-check-") as var:
        good = [
            run_check(name, command, env, var)
            for name, (command, env) in checks().items()
            if not chosen or name in chosen
        ]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
