"""The operators' composition: its settings are on, and it starts and stops as its comments say."""

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from model_container.tests.image.containers import SECRET, WAIT_S, free_port
from model_container.tests.image.engine import HINT, Docker, EngineMissingError
from model_container.tests.image.images import FOLDER, base_name
from motherfluxer_model.given import ENV_PREFIX
from motherfluxer_model.options import DEFAULT_DRAIN_S, parse_options
from motherfluxer_model.testing.router import ScriptedRouter, make_job
from motherfluxer_wire.frames import Done

ON_LOOPBACK = "services: {model: {network_mode: host}}\n"
VOLUME = "mf-test-weights"
Compose = Callable[..., str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give an operator's folder: the composition's files and a credential."""
    for name in ("docker-compose.yml", "docker-compose.cuda.yml", "model.env", "Dockerfile"):
        shutil.copy(FOLDER / name, tmp_path)
    (tmp_path / "secrets").mkdir(mode=0o700)
    (tmp_path / "secrets" / "credential").write_text(SECRET)
    (tmp_path / "secrets" / "credential").chmod(0o644)
    (tmp_path / "on-loopback.yml").write_text(ON_LOOPBACK)
    return tmp_path


@pytest.fixture
def compose(docker: Docker, folder: Path) -> Compose:
    """Give the compose program, the second version or Debian's first, in the operator's folder."""
    if docker.run("docker", "compose", "version").returncode == 0:
        program = ["docker", "compose"]
    elif shutil.which("docker-compose"):
        program = ["docker-compose"]
    else:
        raise EngineMissingError(HINT.format(base=base_name()))

    def run(*argv: str, **env: str) -> str:
        done = docker.run(*program, "-p", "mf-test", *argv, cwd=folder, **env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def service(config: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(config)["services"]["model"]
    return found


def test_the_settings_are_on(compose: Compose) -> None:
    config = compose("config")
    model = service(config)
    assert model["read_only"] is True
    assert model["cap_drop"] == ["ALL"]
    assert model["security_opt"] == ["no-new-privileges:true"]
    assert model["restart"] == "unless-stopped"
    assert model["mem_limit"]
    assert model["pids_limit"] == 1024
    assert model["logging"]["options"] == {"max-size": "10m", "max-file": "3"}
    assert "ports" not in model
    assert "privileged" not in model
    assert not any("CREDENTIAL" in name for name in model["environment"])
    assert SECRET not in config


def test_docker_waits_longer_than_the_program_drains(compose: Compose) -> None:
    grace = service(compose("config"))["stop_grace_period"]
    assert grace == "45s"
    assert DEFAULT_DRAIN_S < 45


def test_graphics_cards_come_on_top(compose: Compose) -> None:
    files = ("-f", "docker-compose.yml", "-f", "docker-compose.cuda.yml")
    model = service(compose(*files, "config"))
    assert model["build"]["args"] == {"VARIANT": "cuda"}
    (device,) = model["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia"
    assert model["cap_drop"] == ["ALL"]


def test_the_settings_file_is_understood() -> None:
    lines = (FOLDER / "model.env").read_text().splitlines()
    settings = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert all(name.startswith(ENV_PREFIX) for name in settings)
    options = parse_options(["run"], settings | {"MOTHERFLUXER_CREDENTIAL": SECRET})
    assert (options.model, options.name) == ("microsoft/phi-2", "container-1")


async def test_up_serves_and_down_drains(
    link_image: str, docker: Docker, compose: Compose, folder: Path, router: ScriptedRouter
) -> None:
    settings = {"ROUTER": router.url, "ENGINE": "echo", "NAME": "box-1", "HEALTH_PORT": free_port()}
    lines = [f"{ENV_PREFIX}{name}={value}\n" for name, value in settings.items()]
    (folder / "model.env").write_text("".join(lines))
    files = ("-f", "docker-compose.yml", "-f", "on-loopback.yml")

    async def run(*argv: str) -> str:
        return await asyncio.to_thread(
            compose, *files, *argv, MODEL_IMAGE=link_image, WEIGHTS=VOLUME
        )

    try:
        await run("up", "-d", "--no-build")
        side = await router.next_instance(WAIT_S)
        assert side.authorization == f"Bearer {SECRET}"
        await side.send(make_job(text="one two"))
        assert isinstance(await side.wait_for_ending("j1"), Done)
        container = (await run("ps", "-q")).strip()
        made = json.loads(await asyncio.to_thread(docker, "inspect", container))[0]
        assert made["HostConfig"]["ReadonlyRootfs"]
        assert made["HostConfig"]["CapDrop"] == ["ALL"]
        assert made["HostConfig"]["Init"]
        assert SECRET not in json.dumps(made)
    finally:
        await run("down", "-v")
    assert side.websocket.close_code == 1000
