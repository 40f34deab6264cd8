"""Runs the whole suite: on SQLite in one process, then on real PostgreSQL and Redis.

`make test` runs it. Nothing may be skipped but what needs an accelerator.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.servers import Servers, running_servers

ROOT: Final = Path(__file__).resolve().parent.parent
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
ENGINE: Final = "dockerd" if os.geteuid() == 0 else "docker"  # root's tests start their own
# What touches a database, a bus or a whole site runs on both.
ON_REAL_SERVERS: Final = ("tests/integration", "tests/acceptance", "tests/conformance")
# Once is enough: the first two start what `make run` starts, the embedded default by design; others
# have both databases by themselves; the rest are about links, processes, order, memory, templates
# and other people's programs, where another database changes nothing.
EMBEDDED_ONLY: Final = (
    "tests/acceptance/test_local.py",
    "tests/acceptance/test_first_hour.py",
    "tests/acceptance/test_faults.py",
    "tests/acceptance/test_chaos.py",
    "tests/acceptance/test_compose.py",
    "tests/acceptance/test_every_token.py",
    "tests/acceptance/test_fairness.py",
    "tests/acceptance/test_engine_broken.py",
    "tests/acceptance/test_openai_engine.py",
    "tests/integration/aws",
    "tests/integration/motherfluxer/test_docs_pages.py",
    "tests/integration/motherfluxer/test_error_reports.py",
    "tests/integration/motherfluxer/test_pluggable.py",
    "tests/integration/operations/test_backups.py",
    "tests/integration/router/test_nothing_left.py",
    "tests/integration/upgrades",
    "tests/conformance/test_documented_clients.py",
    "tests/conformance/test_langchain.py",
    "tests/conformance/test_litellm.py",
    "tests/conformance/test_openai_sdk_retries.py",
)
ALLOWED_SKIP: Final = "gpu:"
_SERVER_VARIABLES: Final = ("DATABASE_URL", "REDIS_URL")


@dataclass(frozen=True, slots=True)
class Round:
    """How one run of pytest went."""

    title: str
    status: int
    tests: int
    failed: int
    skipped: list[str]
    took_s: float

    @property
    def forbidden_skips(self) -> list[str]:
        """What was left out without being allowed to."""
        return [line for line in self.skipped if ALLOWED_SKIP not in line]

    @property
    def is_good(self) -> bool:
        """Whether everything ran and passed."""
        return self.status == 0 and not self.forbidden_skips


def run_round(title: str, paths: list[str], env: Mapping[str, str], options: list[str]) -> Round:
    """Run pytest once and read its report."""
    say(f"\n==== {title}\n")
    started_at = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="motherfluxer-report-") as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", f"--junitxml={report}", *options, *paths]
        status = subprocess.run(command, cwd=ROOT, env=dict(env), stdin=subprocess.DEVNULL)
        took_s = time.monotonic() - started_at
        return read_report(title, status.returncode, report, took_s)


def read_report(title: str, status: int, report: Path, took_s: float) -> Round:
    """Count tests, failures and skips in a JUnit report."""
    if not report.exists():
        return Round(title, status or 1, 0, 0, [], took_s)
    cases = list(ElementTree.parse(report).iter("testcase"))  # noqa: S314 - our own file
    skipped = [
        f"{case.get('classname')}.{case.get('name')}: {found.get('message')}"
        for case in cases
        if (found := case.find("skipped")) is not None
    ]
    failed = sum(
        1 for case in cases if case.find("failure") is not None or case.find("error") is not None
    )
    return Round(title, status, len(cases), failed, skipped, took_s)


@contextlib.contextmanager
def servers_given_or_started() -> Iterator[Servers]:
    """Yield the servers that the environment names, or start both."""
    given = [os.environ.get(name) for name in _SERVER_VARIABLES]
    if all(given):
        yield Servers(str(given[0]), str(given[1]))
        return
    if any(given):
        raise SystemExit("Set both DATABASE_URL and REDIS_URL, or none of them.")
    with running_servers() as servers:
        yield servers


def run_all(options: list[str]) -> list[Round]:
    """Run both rounds."""
    embedded = {name: value for name, value in os.environ.items() if name not in _SERVER_VARIABLES}
    rounds = [run_round("SQLite, everything in one process", [], embedded, options)]
    paths = [path for path in ON_REAL_SERVERS if list((ROOT / path).rglob("test_*.py"))]
    with servers_given_or_started() as servers:
        real = {**embedded, "DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url}
        without = [f"--ignore={path}" for path in EMBEDDED_ONLY]
        rounds.append(run_round("PostgreSQL and Redis", paths, real, [*options, *without]))
    return rounds


def summary(rounds: list[Round]) -> str:
    """Say in a few lines what ran, what did not, and why."""
    lines = ["", "==== Summary"]
    for one in rounds:
        lines.append(
            f"{'passed' if one.is_good else 'FAILED'}  {one.title}: {one.tests} tests, "
            f"{one.failed} failed, {len(one.skipped)} skipped, {one.took_s:.0f} s"
        )
        for skip in one.skipped:
            mark = "allowed" if skip not in one.forbidden_skips else "NOT ALLOWED"
            lines.append(f"    skipped ({mark}): {skip}")
    return "\n".join(lines)


def say(text: str) -> None:
    """Print."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run the suite; 0 when all of it ran and passed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are stopped
    if not any(shutil.which(name) for name in BROWSERS):
        say(
            "No Chromium was found: the browser tests will fail. "
            "Install it (Debian: apt-get install chromium) and run this again."
        )
    if not shutil.which(ENGINE):
        say(
            "No Docker engine was found: the tests of the model container's image will fail. "
            "Install it (Debian: apt-get install docker.io docker-compose mmdebstrap) and run this "
            "again, as root or as a user who may use Docker."
        )
    rounds = run_all(sys.argv[1:])
    say(summary(rounds))
    return 0 if all(one.is_good for one in rounds) else 1


if __name__ == "__main__":
    sys.exit(main())
