"""A whole site as a process of its own, and instances that connect to it."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from motherfluxer.processes import die_with_parent
from tests.servers import free_port

ROOT: Final = Path(__file__).resolve().parent.parent
TINY_MODEL: Final = ROOT / "model_container" / "tiny" / "motherfluxer-tiny"
DOMAIN: Final = "motherfluxer.localhost"
WAIT_S: Final = 60.0


def wait_until(is_true: Callable[[], bool], what: str, timeout_s: float = WAIT_S) -> None:
    """Wait until something is so. Raises AssertionError that says what never was."""
    deadline = time.monotonic() + timeout_s
    while not is_true():
        if time.monotonic() > deadline:
            raise AssertionError(f"never so in {timeout_s:g} s: {what}")
        time.sleep(0.02)


@dataclass
class Response:
    """A whole HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    def json(self) -> Any:
        """Read the body as JSON."""
        return json.loads(self.body)


def http_request(
    port: int,
    method: str,
    path: str,
    *,
    host: str | None = None,
    headers: Mapping[str, str] | None = None,
    body: bytes | str | None = None,
) -> Response:
    """Send one request to a local port, `host` in its Host header."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
    try:
        sent = {**({"Host": f"{host}:{port}"} if host else {}), **(headers or {})}
        connection.request(method, path, body=body, headers=sent)
        response = connection.getresponse()
        return Response(
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            response.read(),
        )
    finally:
        connection.close()


class Program:
    """A child process with its output in a file; it ends with the test's process."""

    def __init__(self, command: list[str], env: Mapping[str, str], log: Path) -> None:
        own_pid = os.getpid()
        self.log = log
        self._output = log.open("ab")
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: _begin_child(own_pid),
        )

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.poll() is None

    @property
    def output(self) -> str:
        """Everything that it printed so far."""
        return self.log.read_text(errors="replace")

    def stop(self, timeout_s: float = 40.0) -> int:
        """Send SIGTERM and wait for the end; return the exit status."""
        if self.is_running:
            self.process.terminate()
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill9()
            raise
        finally:
            self._output.close()

    def kill9(self) -> None:
        """End it and whatever it started, without a chance to say goodbye."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._output.close()


def _begin_child(parent_pid: int) -> None:
    """End with the test's process, and hear Ctrl-C even where the suite runs in the background."""
    die_with_parent(parent_pid)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Instance(Program):
    """A model container's program."""

    def __init__(self, command: list[str], env: Mapping[str, str], log: Path, port: int) -> None:
        super().__init__(command, env, log)
        self.health_port = port

    @property
    def is_connected(self) -> bool:
        """Whether it says that the router has welcomed it."""
        try:
            return http_request(self.health_port, "GET", "/readyz").status == 200
        except (OSError, http.client.HTTPException):
            return False

    def wait_connected(self) -> "Instance":
        """Wait until the router has welcomed it."""

        def is_done() -> bool:
            if not self.is_running:
                raise AssertionError(f"the instance has ended:\n{self.output}")
            return self.is_connected

        wait_until(is_done, f"instance connected\n{self.output}")
        return self


@dataclass
class Site:
    """A running site in a folder of its own."""

    folder: Path
    env: dict[str, str]
    port: int = field(default_factory=free_port)
    domain: str = DOMAIN
    instances: list[Instance] = field(default_factory=list)
    recovery_codes: dict[str, list[str]] = field(default_factory=dict)  # by role, see signing_in
    program: Program | None = None
    webs: list["Site"] = field(default_factory=list)
    routers: list[Program] = field(default_factory=list)
    log_name: str = "site.log"
    command: tuple[str, ...] = (sys.executable, "-m", "motherfluxer.server")

    @property
    def url(self) -> str:
        """The address of the public site."""
        return f"http://127.0.0.1:{self.port}"

    def host(self, name: str = "") -> str:
        """Return the host name of one of the four sites, without the port."""
        return f"{name}.{self.domain}" if name else self.domain

    def start(self) -> "Site":
        """Start the server and wait until it lives; with Redis, the first time, a router too."""
        if "REDIS_URL" in self.env and not self.routers:
            self.add_router()
        env = {**self.env, "PORT": str(self.port)}
        program = self.program = Program([*self.command], env, self.folder / self.log_name)

        def is_up() -> bool:
            if not program.is_running:
                raise AssertionError(f"the site has ended:\n{program.output}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                return self.get("/healthz").status == 200
            return False

        wait_until(is_up, "site up")
        if self.routers:
            wait_until(lambda: self.is_routed, "a router acts")
        return self

    @property
    def is_routed(self) -> bool:
        """Whether the server sees a router that acts."""
        return bool(self.get("/readyz").json()["bus"]["ok"])

    def add_web(self) -> "Site":
        """Start another web process of this site, at a port of its own."""
        log_name = f"web-{len(self.webs) + 1}.log"
        web = replace(self, port=free_port(), program=None, webs=[], log_name=log_name)
        self.webs.append(web)
        return web.start()

    def add_router(self) -> Program:
        """Start another central router; the first to come is the active one."""
        command = [sys.executable, "manage.py", "runrouter"]
        log = self.folder / f"router-{len(self.routers) + 1}.log"
        router = Program(command, self.env, log)
        self.routers.append(router)
        return router

    def stop(self) -> int:
        """Stop the server alone, as a deploy does; `start` starts it again."""
        assert self.program is not None
        return self.program.stop()

    def close(self) -> None:
        """End everything that belongs to it."""
        programs = [*self.instances, *self.routers, *(web.program for web in self.webs)]
        for program in (*programs, self.program):
            if program is not None:
                program.kill9()

    def request(
        self,
        method: str,
        path: str,
        *,
        site: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | str | None = None,
    ) -> Response:
        """Send a request; `site` "user", "admin", "superadmin" or "" by host, None by address."""
        host = None if site is None else self.host(site)
        return http_request(self.port, method, path, host=host, headers=headers, body=body)

    def get(self, path: str, *, site: str | None = None, **headers: str) -> Response:
        """Get a page."""
        return self.request("GET", path, site=site, headers=headers)

    def manage(self, *arguments: str) -> str:
        """Run a command of manage.py beside the running site; return its standard output."""
        env = {**self.env, "PORT": str(self.port)}
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=env,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise AssertionError(f"manage.py {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def issue_credential(self, name: str = "test") -> str:
        """Issue a credential for the first operator."""
        operator = f"operator@{self.domain}"
        arguments = ("--skip-checks", "--operator", operator, "--name", name)
        return self.manage("issue_credential", *arguments).strip()

    def api_key(self, user: str = "reader@example.org") -> str:
        """Make an API key for a user, who is made as well."""
        arguments = ("--skip-checks", "--user", user, "--name", "test", "--create-user")
        return self.manage("create_api_key", *arguments).strip()

    def password(self, role: str) -> str:
        """Return the password of "operator" or "superadmin" from the first run's note."""
        note = (self.folder / "first-run.txt").read_text()
        found = re.search(rf"{role}@\S+\s+(?:\S+:\s*)?(\S+)\s*$", note, re.MULTILINE)
        assert found, note
        return found[1]

    def start_instance(
        self,
        engine: str = "echo",
        *,
        model: str | Path | None = None,
        name: str = "test",
        slots: int = 4,
        credential: str | None = None,
        env: Mapping[str, str] | None = None,
        options: tuple[str, ...] = (),
        port: int | None = None,
    ) -> Instance:
        """Start an instance; without a credential one of its name is issued. Does not wait.

        `port`: where it dials, if not the site's own.
        """
        serial = len(self.instances)
        kept = self.folder / f"instance-{serial}.credential"
        kept.touch(mode=0o600)
        kept.write_text(credential or self.issue_credential(f"{name}-{serial}"))
        chosen = model or (TINY_MODEL if engine == "transformers" else "echo")
        health_port = free_port()
        command = [
            *(str(Path(sys.executable).with_name("motherfluxer-model")), "run"),
            *(f"--router=ws://127.0.0.1:{port or self.port}/", f"--credential-file={kept}"),
            *(f"--engine={engine}", f"--model={chosen}", f"--name={name}", f"--slots={slots}"),
            *(f"--health-port={health_port}", *options),
        ]
        log = self.folder / f"instance-{serial}.log"
        instance = Instance(command, {**base_env(), **(env or {})}, log, health_port)
        self.instances.append(instance)
        return instance


def base_env() -> dict[str, str]:
    """Return the environment without what configures the suite itself.

    A site of the suite has one key for all that is asked of it in a moment.
    """
    ours = ("DJANGO_", "MOTHERFLUXER_", "DATABASE_URL", "REDIS_URL", "PYTEST_", "PORT", "DEMO_")
    others = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**others, "API_REQUESTS_PER_MINUTE": "100000"}


def copy_var(source: Path, target: Path) -> None:
    """Copy a prepared var folder: secrets, first users, and the database where it is a file."""
    shutil.copytree(source, target, dirs_exist_ok=True)
