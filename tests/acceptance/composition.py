"""The whole site in containers, brought up by `make up` from a copy of the project."""

import contextlib
import json
import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from model_container.tests.image.engine import HINT, Docker, EngineMissingError
from model_container.tests.image.images import Builder, base_name, import_debian
from model_container.tests.image.packages import fetch_site_packages
from tests.acceptance.behind_tls import CADDY
from tests.servers import free_port

ROOT: Final = Path(__file__).resolve().parents[2]
DOMAIN: Final = "motherfluxer.localhost"
SITES: Final = ("", "user.", "admin.", "superadmin.")
SUBNET: Final = "10.219.207.0/24"
# Debian's servers under the official images' names, where no registry can be reached; and under
# the site's base, which so has the client that fits the server.
SERVERS: Final = (
    *("postgres:17-alpine", "redis:7-alpine", "caddy:2-alpine"),
    "python:3.11-slim-trixie",
)
IN_SERVERS: Final = "postgresql,redis-server,python3,python3-venv,wget,ca-certificates"
AS_OFFICIAL: Final = (
    'chroot "$1" install -d -o postgres -g postgres /var/lib/postgresql/data',
    'chroot "$1" install -d -o redis -g redis /data',
    # Debian keeps PostgreSQL's programs out of the path.
    'chroot "$1" sh -c "ln -sf /usr/lib/postgresql/*/bin/* /usr/local/bin/"',
)
# The tests' own engine has no network for builds but the machine's.
BUILT_ON_HOST: Final = """
services:
  caddy: {build: {network: host}}
  migrate: {build: {network: host}}
  model: {build: {network: host}}
"""
KILL: Final = "import os, sys; os.kill(int(sys.argv[1]), 9)"
VISIT: Final = f"""
import http.client, ssl, sys
tls = ssl._create_unverified_context()
for forwarded_for in sys.argv[2:]:
    asked = http.client.HTTPSConnection("{DOMAIN}", context=tls)
    asked.request("GET", sys.argv[1], headers={{"X-Forwarded-For": forwarded_for}})
    print(asked.getresponse().status)
"""
PATIENCE_S: Final = 60.0


@dataclass(slots=True)
class Composition:
    """A folder with the project, and the containers that were started from it."""

    builder: Builder
    folder: Path
    https_port: int = field(default_factory=free_port)
    http_port: int = field(default_factory=free_port)
    project: str = "mf-site-test"
    trusted: ssl.SSLContext = field(default_factory=ssl.create_default_context)

    @property
    def docker(self) -> Docker:
        """The engine's client."""
        return self.builder.docker

    def prepare(self) -> None:
        """Copy the project, and have what its images are made of."""
        copy_project(self.folder)
        settings = {
            "COMPOSE_PROJECT_NAME": self.project,
            "MOTHERFLUXER_DOMAIN": DOMAIN,
            "HTTP_PORT": self.http_port,
            "HTTPS_PORT": self.https_port,
            "SITE_SUBNET": SUBNET,
            "REST_ADDRESS_LIMIT": "3/minute",
            "SITE_IMAGE": f"{self.project}-site",
            "PROXY_IMAGE": f"{self.project}-proxy",
            "MODEL_IMAGE": f"{self.project}-model",
        }
        lines = "".join(f"{name}={value}\n" for name, value in settings.items())
        (self.folder / ".env").write_text(lines)
        if self.builder.packages is not None:
            fetch_site_packages(self.builder.packages)
            (self.folder / "on-host.yml").write_text(BUILT_ON_HOST)
            changes = (*AS_OFFICIAL, f"copy-in {CADDY} /usr/bin")
            hooks = [f"--customize-hook={change}" for change in changes]
            import_debian(self.docker, SERVERS, f"--include={IN_SERVERS}", *hooks)

    def make(self, word: str, **settings: str) -> str:
        """Run `make WORD` in the folder; what it said."""
        done = self.run("make", word, **settings)
        assert done.returncode == 0, f"make {word} failed:\n{done.stdout}{done.stderr}"
        return done.stdout

    def compose(self, *argv: str) -> str:
        """Run the compose program in the folder."""
        done = self.run(*self._composer(), *argv)
        assert done.returncode == 0, f"{argv} failed:\n{done.stdout}{done.stderr}"
        return done.stdout

    def script(self, text: str) -> None:
        """Run a shell's script of the manual in the folder."""
        done = self.run("bash", "-euc", text.replace("docker compose", " ".join(self._composer())))
        assert done.returncode == 0, f"{text} failed:\n{done.stdout}{done.stderr}"

    def run(self, *argv: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a program in the folder, against the engine."""
        env = dict(settings)
        if self.builder.index_url is not None:
            env |= dict.fromkeys(("PIP_INDEX_URL", "TORCH_INDEX_URL"), self.builder.index_url)
            env["COMPOSE_FILE"] = f"docker-compose.yml{os.pathsep}on-host.yml"
        return self.docker.run(*argv, cwd=self.folder, **env)

    def _composer(self) -> Sequence[str]:
        if self.docker.run("docker", "compose", "version").returncode == 0:
            return ("docker", "compose")
        if not shutil.which("docker-compose"):
            raise EngineMissingError(HINT.format(base=base_name()))
        return ("docker-compose",)

    def containers(self, service: str = "") -> list[dict[str, Any]]:
        """Give what the engine tells of each container, of those that have ended too."""
        label = f"label=com.docker.compose.project={self.project}"
        ids = self.docker("ps", "-aq", "--no-trunc", "--filter", label).split()
        if not ids:
            return []
        found: list[dict[str, Any]] = json.loads(self.docker("inspect", *ids))
        return [one for one in found if service in ("", service_of(one))]

    @contextlib.contextmanager
    def sleeping(self, network: str, *options: str) -> Iterator[str]:
        """Give a container that does nothing, with an address of its own in a network."""
        argv = ("--rm", "-d", f"--network={self.project}_{network}", *options)
        made = self.docker("run", *argv, "--entrypoint=sleep", f"{self.project}-site", "600")
        try:
            yield made
        finally:
            self.docker("rm", "-f", made)

    def visit(self, visitor: str, path: str, *forwarded_for: str) -> list[int]:
        """Ask from a container that says those things of its address; the statuses."""
        asked = self.docker("exec", visitor, "python3", "-c", VISIT, path, *forwarded_for)
        return [int(code) for code in asked.split()]

    def kill9(self, container: dict[str, Any]) -> None:
        """Kill a container's program from outside, which is no wish of Docker's that it ends."""
        pid = str(container["State"]["Pid"])
        argv = ("--rm", "--pid=host", "--user=0", "--network=none", "--entrypoint=python3")
        self.docker("run", *argv, f"{self.project}-site", "-c", KILL, pid)

    @contextlib.contextmanager
    def left_dead(self, container: str) -> Iterator[None]:
        """Kill a container's program, and let Docker not start it again meanwhile."""
        self.docker("update", "--restart=no", container)
        self.kill9(json.loads(self.docker("inspect", container))[0])
        try:
            yield
        finally:
            self.docker("update", "--restart=unless-stopped", container)
            self.docker("start", container)

    @contextlib.contextmanager
    def slow_model(self) -> Iterator[None]:
        """Let answers take long."""
        model = self.containers("model")[0]["Id"]
        self.docker("update", "--cpus=0.1", model)
        try:
            yield
        finally:
            self.docker("update", f"--cpus={os.cpu_count()}", model)

    def told(self, container: str) -> list[dict[str, Any]]:
        """Give what a container's program has logged."""
        logs = self.docker.run("docker", "logs", container).stderr
        return [json.loads(line) for line in logs.splitlines() if line.startswith("{")]

    def trust_authority(self) -> None:
        """Trust the certificates of the proxy's own authority, and nobody else's."""
        path = "/data/caddy/pki/authorities/local/root.crt"
        pem = self.compose("exec", "-T", "caddy", "cat", path)
        self.trusted = ssl.create_default_context(cadata=pem)

    def client(self, site: str = "") -> httpx.Client:
        """Give a browser that knows where the site's name leads."""
        host = f"{site}{DOMAIN}"

        def name_server(request: httpx.Request) -> None:
            request.extensions["sni_hostname"] = host

        return httpx.Client(
            base_url=f"https://127.0.0.1:{self.https_port}",
            headers={"Host": f"{host}:{self.https_port}"},
            event_hooks={"request": [name_server]},
            verify=self.trusted,
            trust_env=False,
            timeout=PATIENCE_S,
        )

    def manage(self, *argv: str) -> str:
        """Run a management command where the site runs."""
        return self.compose("exec", "-T", "worker", "python3", "manage.py", *argv).strip()

    def in_site(self, script: str) -> str:
        """Run a shell's script where the site runs."""
        return self.compose("exec", "-T", "worker", "sh", "-euc", script).strip()


def service_of(container: dict[str, Any]) -> str:
    """Name a container's service."""
    return str(container["Config"]["Labels"]["com.docker.compose.service"])


def copy_project(folder: Path) -> None:
    """Copy what a clone holds, as the files are now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
