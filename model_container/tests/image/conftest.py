"""One build of each variant serves all of the image's tests."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from model_container.tests.image.containers import SECRET, Fleet
from model_container.tests.image.engine import Docker
from model_container.tests.image.images import (
    DOCKERFILE,
    FOLDER,
    FROM_REPOSITORY,
    REPOSITORY,
    Builder,
)
from motherfluxer_model.testing.router import ScriptedRouter


@pytest.fixture(scope="session")
def link_image(builder: Builder) -> str:
    """Build the variant without torch, as operators do: from the container's folder alone."""
    return builder.build("link", DOCKERFILE, FOLDER)


@pytest.fixture(scope="session")
def cpu_image(builder: Builder) -> str:
    """Build the variant for processors from the repository's root."""
    return builder.build("cpu", FROM_REPOSITORY, REPOSITORY)


@pytest.fixture(scope="session")
def credential(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a credential's file that the container's user can read."""
    file = tmp_path_factory.mktemp("secrets") / "credential"
    file.write_text(f"{SECRET}\n")
    file.chmod(0o644)
    return file


@pytest.fixture
async def router() -> AsyncIterator[ScriptedRouter]:
    """Give a router that says only what the test tells it to."""
    async with ScriptedRouter() as router:
        yield router


@pytest.fixture
def volume(docker: Docker) -> Iterator[str]:
    """Give a named volume; to be asked for before the fleet, so that it goes after it."""
    name = "motherfluxer-test-weights"
    docker("volume", "create", name)
    yield name
    docker("volume", "rm", name)


@pytest.fixture
async def fleet(docker: Docker, credential: Path) -> AsyncIterator[Fleet]:
    """Give what starts containers."""
    fleet = Fleet(docker, credential)
    yield fleet
    await fleet.end()
