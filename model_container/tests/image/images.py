"""Builds the container's images as an operator does, from the folder or from the repository."""

import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from model_container.tests.image.engine import HINT, Docker, EngineMissingError

FOLDER: Final = Path(__file__).parents[2]
REPOSITORY: Final = FOLDER.parent
DOCKERFILE: Final = FOLDER / "Dockerfile"
FROM_REPOSITORY: Final = REPOSITORY / "docker" / "model.Dockerfile"
DEBIAN: Final = "bookworm"
IN_BASE: Final = "python3,python3-venv,ca-certificates"


def base_name() -> str:
    """Tell which base image the Dockerfile asks for."""
    found = re.search(r"^ARG BASE=(\S+)$", DOCKERFILE.read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def provide_base(docker: Docker) -> None:
    """Have the base image: the engine's, or Debian with its Python under that name."""
    base = base_name()
    if docker.run("docker", "image", "inspect", base).returncode == 0:
        return
    if not docker.is_own or not shutil.which("mmdebstrap"):
        raise EngineMissingError(HINT.format(base=base))
    import_debian(docker, [base], f"--include={IN_BASE}")


def import_debian(
    docker: Docker, names: Sequence[str], *options: str, changes: Sequence[str] = ()
) -> None:
    """Make a small Debian, and an image of it under each name."""
    with tempfile.TemporaryDirectory(prefix="mf-base-") as folder:
        tar = Path(folder) / "base.tar"
        done = docker.run("mmdebstrap", "--variant=minbase", *options, DEBIAN, tar)
        assert done.returncode == 0, done.stderr[-4000:]
        for name in names:
            docker("import", *(f"--change={change}" for change in changes), tar, name)


@dataclass(frozen=True, slots=True)
class Builder:
    """Builds with an engine; for the tests' own engine there is an index of a folder's packages."""

    docker: Docker
    index_url: str | None
    packages: Path | None

    def build(self, variant: str, dockerfile: Path, context: Path) -> str:
        """Build a variant of the image; its name."""
        name = f"motherfluxer-model:test-{variant}"
        options = ["--build-arg", f"VARIANT={variant}"]
        if self.index_url is not None:
            for argument in ("PIP_INDEX_URL", "TORCH_INDEX_URL"):
                options += ["--build-arg", f"{argument}={self.index_url}"]
            options += ["--network", "host"]
        self.docker("build", "-t", name, "-f", dockerfile, *options, context)
        return name
