"""The image as it runs: what its process may do, that it answers, comes back and stops well."""

import json
import re
from pathlib import Path

import pytest

from model_container.tests.image.containers import SECRET, Container, Fleet, joined
from model_container.tests.image.engine import Docker
from model_container.tests.image.images import Builder
from motherfluxer_model.testing.hub import FakeHub
from motherfluxer_model.testing.router import InstanceSide, ScriptedRouter, make_job
from motherfluxer_wire.frames import Chunk, Done, Draining, Sampling

IDLE_MIB = 60
NO_CAPABILITIES = "0000000000000000"
KILL = "import os, sys; os.kill(int(sys.argv[1]), 9)"


async def test_its_process_is_nobody_and_may_nothing(
    link_image: str, router: ScriptedRouter, fleet: Fleet
) -> None:
    container, _ = await fleet.start(link_image, router)
    process = await container.process()
    assert process["Uid"] == process["Gid"] == "10001 10001 10001 10001"
    assert {process[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {
        NO_CAPABILITIES
    }
    assert process["NoNewPrivs"] == "1"


async def test_only_the_weights_can_be_written(
    link_image: str, router: ScriptedRouter, fleet: Fleet
) -> None:
    container, _ = await fleet.start(link_image, router)
    mounts = (await container.inside("cat", "/proc/1/mounts")).splitlines()
    root = next(line.split()[3] for line in mounts if line.split()[1] == "/")
    assert "ro" in root.split(",")
    await container.python("open('/weights/kept', 'w')")
    for path in ("/opt/motherfluxer/new", "/etc/new", "/tmp/new"):  # noqa: S108  it cannot be
        with pytest.raises(AssertionError, match=r"Read-only file system|Permission denied"):
            await container.python(f"open({path!r}, 'w')")


async def test_weights_are_fetched_once_into_their_volume(
    cpu_image: str, model_folder: Path, volume: str, router: ScriptedRouter, fleet: Fleet
) -> None:
    settings = {"ENGINE": "transformers", "MODEL": "someone/random-phi"}
    options = ["-v", f"{volume}:/weights", "-e", "HF_ENDPOINT"]
    with FakeHub("someone/random-phi", model_folder) as hub:
        options[-1] += f"={hub.url}"
        container, side = await fleet.start(cpu_image, router, options, **settings)
        assert any(path.endswith(".safetensors") for path in hub.asked)
    assert await container.inside("stat", "-c", "%u", "/weights/hub") == "10001"
    await container.docker("rm", "-f", container.name)
    _, again = await fleet.start(cpu_image, router, options, **settings)  # and the hub is gone
    assert again.hello.models == side.hello.models


async def test_its_healthcheck_finds_it_well(
    link_image: str, router: ScriptedRouter, fleet: Fleet
) -> None:
    container, _ = await fleet.start(link_image, router, ("--health-interval", "1s"))
    await container.wait_for_event("health_status: healthy")


async def test_its_healthcheck_fails_where_nobody_answers(
    link_image: str, router: ScriptedRouter, fleet: Fleet
) -> None:
    container, _ = await fleet.start(link_image, router)
    check = (await container.inspect())["Config"]["Healthcheck"]["Test"]
    assert check[0] == "CMD"
    await container.inside(*check[1:])
    with pytest.raises(AssertionError):
        await container.inside("env", "MOTHERFLUXER_HEALTH_PORT=1", *check[1:])


async def test_the_credential_stands_nowhere(
    link_image: str, router: ScriptedRouter, fleet: Fleet
) -> None:
    container, side = await fleet.start(link_image, router)
    assert side.authorization == f"Bearer {SECRET}"
    told = [
        json.dumps(await container.inspect()),
        await container.docker("top", container.name, "-eo", "pid,args"),
        await container.inside("cat", "/proc/1/environ"),
        await container.output(),
    ]
    assert all("box-1" in text or "motherfluxer-model" in text for text in told)
    assert not any(SECRET in text for text in told)


def test_nothing_of_the_machine_that_built_it_stays(
    builder: Builder, link_image: str, docker: Docker
) -> None:
    history = docker("history", "--no-trunc", link_image)
    assert "HEALTHCHECK" in history
    assert "PIP_INDEX_URL" not in history
    assert builder.index_url is None or builder.index_url not in history


async def answer(side: InstanceSide, model: str, text: str) -> str:
    """Ask the instance and give its whole answer."""
    job = make_job(model=model, text=text, sampling=Sampling(max_tokens=24))
    await side.send(job)
    done = await side.wait_for_ending(job.job)
    assert isinstance(done, Done)
    assert done.usage.completion_tokens > 0
    return side.text(job.job)


async def test_the_tiny_model_answers(cpu_image: str, router: ScriptedRouter, fleet: Fleet) -> None:
    settings = {"ENGINE": "transformers", "MODEL": "tiny/motherfluxer-tiny"}
    container, side = await fleet.start(cpu_image, router, **settings)
    assert "MotherFluxer" in await answer(side, "motherfluxer-tiny", "What is MotherFluxer?")
    process = await container.process()
    assert process["CapEff"] == NO_CAPABILITIES


async def test_killed_from_outside_it_comes_back_and_serves(
    link_image: str, router: ScriptedRouter, fleet: Fleet
) -> None:
    container, first = await fleet.start(link_image, router, ("--restart", "unless-stopped"))
    pid = (await container.inspect())["State"]["Pid"]
    outside = ("--pid", "host", "--user", "0", "--rm", "--entrypoint", "python3")
    await container.docker("run", *outside, link_image, "-c", KILL, str(pid))
    second = await joined(router, container)
    assert first.websocket.close_code == 1006
    assert await answer(second, "echo", "still here") == "still here"
    now = await container.inspect()
    assert now["RestartCount"] == 1
    assert now["State"]["Running"]


async def test_docker_stop_lets_the_running_answer_end(
    link_image: str, router: ScriptedRouter, fleet: Fleet
) -> None:
    container, side = await fleet.start(link_image, router, ECHO_DELAY_MS="20")
    text = "word " * 20
    await side.send(make_job(text=text))
    await side.wait_for(lambda: side.frames(Chunk))
    await container.docker("stop", "--time", "60", container.name)
    assert side.frames(Draining)
    assert side.text("j1") == text
    assert isinstance(side.ending("j1"), Done)
    assert (await container.inspect())["State"]["ExitCode"] == 0


async def memory_mib(container: Container) -> float:
    """Give what the container uses, its files in the page cache left out as Docker does."""
    shown = await container.docker(
        "stats", "--no-stream", "--format", "{{.MemUsage}}", container.name
    )
    number, unit = re.match(r"([\d.]+)([KMG])iB", shown).groups()  # type: ignore[union-attr]
    return float(number) * {"K": 1 / 1024, "M": 1, "G": 1024}[unit]


@pytest.mark.parametrize("image", ["link_image", "cpu_image"])
async def test_an_idle_echo_container_is_small(
    request: pytest.FixtureRequest, image: str, router: ScriptedRouter, fleet: Fleet
) -> None:
    container, side = await fleet.start(request.getfixturevalue(image), router)
    await answer(side, "echo", "warm")
    assert await memory_mib(container) <= IDLE_MIB
