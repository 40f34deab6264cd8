"""The image is built from either place, on any base."""

import re
from pathlib import Path

from model_container.tests.image.images import DOCKERFILE, FROM_REPOSITORY


def below_the_header(dockerfile: Path) -> str:
    return re.sub(r"\A(#.*\n)+", "", dockerfile.read_text())


def test_both_dockerfiles_are_one() -> None:
    own = below_the_header(DOCKERFILE)
    assert own.count("ARG SOURCE=.\n") == 1
    assert below_the_header(FROM_REPOSITORY) == own.replace(
        "ARG SOURCE=.\n", "ARG SOURCE=model_container\n"
    )


def test_the_base_can_be_chosen() -> None:
    lines = DOCKERFILE.read_text().splitlines()
    bases = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert bases == ["${BASE}", "${BASE}"]
    assert not lines[0].startswith("# syntax=")
