"""A Docker engine for the tests: one of their own where they run as root, else the user's."""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

START_S: Final = 60.0
COMMAND_S: Final = 1200.0
BUILDKIT_BY_DEFAULT: Final = (
    23  # the client's version; later ones may lack what the variable asks for
)
HINT: Final = (
    "The image's tests need a Docker engine. Debian, as root: apt-get install docker.io mmdebstrap "
    "docker-compose; the tests start and stop an engine of their own. As another user: start "
    "Docker, be allowed to use it (`docker version` says so), and docker pull {base}"
)


class EngineMissingError(Exception):
    """There is no Docker engine and none can be started; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Docker:
    """The client, talking to one engine."""

    environ: dict[str, str] = field(repr=False)
    is_own: bool

    def __call__(self, *argv: str | Path) -> str:
        """Run a command of it; what it printed to standard output, without the last line's end."""
        done = self.run("docker", *argv)
        assert done.returncode == 0, f"docker {argv[0]} failed:\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    def run(
        self, *argv: str | Path, cwd: Path | None = None, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run any program against this engine."""
        return subprocess.run(
            argv,
            cwd=cwd,
            env={**self.environ, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
        )

    def is_up(self) -> bool:
        """Whether the engine answers."""
        return self.run("docker", "version").returncode == 0


@contextlib.contextmanager
def running_engine(base: str) -> Iterator[Docker]:
    """Give an engine. Raises EngineMissingError."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("MOTHERFLUXER_")}
    if os.geteuid() == 0 and shutil.which("docker") and shutil.which("dockerd"):
        with _own_engine(environ) as docker:
            yield docker
        return
    docker = Docker(environ, is_own=False)
    if not shutil.which("docker") or not docker.is_up():
        raise EngineMissingError(HINT.format(base=base))
    yield docker


@contextlib.contextmanager
def _own_engine(environ: dict[str, str]) -> Iterator[Docker]:
    """Start an engine that makes no network and no firewall rule, and leaves nothing behind."""
    folder = Path(tempfile.mkdtemp(prefix="mf-docker-"))
    socket = f"unix://{folder}/docker.sock"
    command: list[str | Path] = [
        *("setpriv", "--pdeathsig", "TERM", "dockerd", "--host", socket),
        *("--data-root", folder / "data", "--exec-root", folder / "exec"),
        *("--pidfile", folder / "pid", "--bridge", "none", "--iptables=false"),
    ]
    docker = Docker(_fitting(environ) | {"DOCKER_HOST": socket}, is_own=True)
    with (folder / "log").open("wb") as log:
        daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _wait_until_up(daemon, docker, folder / "log")
        yield docker
        left = docker("ps", "-aq").split()
        if left:
            docker("rm", "-fv", *left)
    finally:
        daemon.terminate()
        daemon.wait(START_S)
        _unmount(folder)
        # Takes minutes where each block that becomes free is told to the disk; nobody waits for it.
        subprocess.run(["sh", "-c", 'rm -rf "$0" </dev/null >/dev/null 2>&1 &', folder], check=True)


def _fitting(environ: dict[str, str]) -> dict[str, str]:
    """Have Debian's client, which fits its engine, and BuildKit, which operators build with."""
    fitting = environ | {"PATH": f"/usr/bin:{environ['PATH']}"}
    version = subprocess.run(["docker", "--version"], env=fitting, capture_output=True, text=True)
    major = re.search(r"\d+", version.stdout)
    if major is not None and int(major[0]) < BUILDKIT_BY_DEFAULT:
        fitting["DOCKER_BUILDKIT"] = "1"
    return fitting


def _unmount(folder: Path) -> None:
    """Let go of what the engine leaves mounted: its network namespace."""
    for line in Path("/proc/mounts").read_text().splitlines():
        if line.split()[1].startswith(f"{folder}/"):
            subprocess.run(["umount", line.split()[1]], check=True)


def _wait_until_up(daemon: subprocess.Popen[bytes], docker: Docker, log: Path) -> None:
    give_up_at = time.monotonic() + START_S
    while not docker.is_up():
        with contextlib.suppress(subprocess.TimeoutExpired):
            daemon.wait(0.1)
            give_up_at = 0.0  # a daemon that has ended will not come up
        if time.monotonic() > give_up_at:
            raise EngineMissingError(f"dockerd does not start:\n{log.read_text()[-4000:]}")
