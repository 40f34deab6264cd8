"""Containers of a test: started as the documentation says, removed with the test."""

import asyncio
import json
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from model_container.tests.image.engine import Docker
from motherfluxer_model.testing.router import InstanceSide, ScriptedRouter

SECRET: Final = "mfi_abcdef_verysecret"
HARDENED: Final = (
    *("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
    *("--network", "host"),  # the scripted router listens on loopback
)
WAIT_S: Final = 120.0


def free_port() -> str:
    """Give a loopback port that nobody uses now: on the host's network, ports are shared."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


class Container:
    """One running container."""

    def __init__(self, docker: Docker, name: str) -> None:
        self._docker = docker
        self.name = name

    async def docker(self, *argv: str | Path) -> str:
        """Run a command of the client without holding up the loop."""
        return await asyncio.to_thread(self._docker, *argv)

    async def inside(self, *argv: str) -> str:
        """Run a program in the container."""
        return await self.docker("exec", self.name, *argv)

    async def python(self, code: str) -> str:
        """Run a line of Python in the container."""
        return await self.inside("python3", "-c", code)

    async def inspect(self) -> dict[str, Any]:
        """Give all that the engine tells about the container."""
        found: list[dict[str, Any]] = json.loads(await self.docker("inspect", self.name))
        return found[0]

    async def output(self) -> str:
        """Give what the program wrote so far."""
        logs = await asyncio.to_thread(self._docker.run, "docker", "logs", self.name)
        return logs.stdout + logs.stderr

    async def wait_for_event(self, event: str) -> None:
        """Wait until the engine tells of something, or has told since the container's start."""
        watching = await asyncio.create_subprocess_exec(
            *("docker", "events", "--since", "0", "--filter", f"container={self.name}"),
            *("--format", "{{.Action}}"),
            env={**os.environ, **self._docker.environ},
            stdout=asyncio.subprocess.PIPE,
        )
        assert watching.stdout is not None
        try:
            async with asyncio.timeout(WAIT_S):
                while (await watching.stdout.readline()).decode().strip() != event:
                    pass
        finally:
            watching.kill()
            await watching.wait()

    async def process(self) -> dict[str, str]:
        """Give /proc/1/status: what the program's process may do."""
        lines = (await self.inside("cat", "/proc/1/status")).splitlines()
        pairs = (line.partition(":") for line in lines)
        return {name: " ".join(rest.split()) for name, _, rest in pairs}


class Fleet:
    """Starts containers and removes them."""

    def __init__(self, docker: Docker, credential: Path) -> None:
        self._docker = docker
        self._credential = credential
        self._started: list[Container] = []

    async def start(
        self,
        image: str,
        router: ScriptedRouter,
        options: Sequence[str] = (),
        **settings: str,
    ) -> tuple[Container, InstanceSide]:
        """Start one with `MOTHERFLUXER_…` settings and wait until it has joined."""
        settings = {"ROUTER": router.url, "ENGINE": "echo", "NAME": "box-1"} | settings
        settings.setdefault("HEALTH_PORT", free_port())
        container = Container(self._docker, "")
        container.name = await container.docker(
            *("run", "-d", *HARDENED, *options),
            *("-v", f"{self._credential}:/run/secrets/credential:ro"),
            *(
                part
                for key, value in settings.items()
                for part in ("-e", f"MOTHERFLUXER_{key}={value}")
            ),
            image,
        )
        self._started.append(container)
        return container, await joined(router, container)

    async def end(self) -> None:
        """Remove what was started, with its volumes."""
        for container in self._started:
            await container.docker("rm", "-fv", container.name)


async def joined(router: ScriptedRouter, container: Container) -> InstanceSide:
    """Wait for the instance; where it does not come, show what it said."""
    try:
        return await router.next_instance(WAIT_S)
    except TimeoutError as error:
        raise AssertionError(f"it did not join:\n{await container.output()}") from error
