"""A plugin of pytest: one engine and one index of packages for all tests that build images."""

import contextlib
from collections.abc import Iterator

import pytest

from model_container.tests.image.engine import Docker, running_engine
from model_container.tests.image.images import Builder, base_name, provide_base
from model_container.tests.image.packages import fetch_packages, serving


@pytest.fixture(scope="session")
def docker() -> Iterator[Docker]:
    """Give an engine that has the base image."""
    with running_engine(base_name()) as docker:
        provide_base(docker)
        yield docker


@pytest.fixture(scope="session")
def builder(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    """Give what builds: the tests' own engine gets its packages from this machine."""
    with contextlib.ExitStack() as stack:
        if not docker.is_own:
            yield Builder(docker, None, None)
            return
        packages = tmp_path_factory.mktemp("packages")
        fetch_packages(packages, "build", "link", "cpu")
        yield Builder(docker, stack.enter_context(serving(packages)), packages)
