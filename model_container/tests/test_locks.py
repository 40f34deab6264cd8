"""What the container is made of: pinned, with hashes, and the same in each variant."""

import re
import tomllib
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1]
REQUIREMENTS = FOLDER / "requirements"
LOCKS = {path.stem: path.read_text() for path in REQUIREMENTS.glob("*.txt")}
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def pins(lock: str) -> dict[str, str]:
    found = re.findall(r"^([\w.-]+)={2,3}([\w.+!-]+)", LOCKS[lock], re.MULTILINE)
    return dict(found)


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_pinned_with_hashes(lock: str) -> None:
    packages = re.split(r"\n(?=[\w-])", re.sub(r"^\s*#.*\n", "", LOCKS[lock], flags=re.MULTILINE))
    assert packages
    for package in packages:
        assert re.match(r"[\w.-]+={2,3}[\w.+!-]+ \\\n", package), package
        assert HASH.search(package), package


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_place(lock: str) -> None:
    assert not re.search(
        r"https?:|file://|--(extra-)?index-url|--find-links|(?m:^[-/])", LOCKS[lock]
    )


def test_all_variants_have_the_same_versions() -> None:
    cpu, cuda = pins("cpu"), pins("cuda")
    assert set(cpu) - set(cuda) == set()
    assert {name for name in cpu if cpu[name] != cuda[name]} == {"torch"}
    assert cpu["torch"].removesuffix("+cpu") == cuda["torch"] == "2.13.0"
    assert pins("link").items() < cpu.items()


@pytest.mark.parametrize(
    ("lock", "extras"),
    [("link", ["openai"]), ("cpu", ["openai", "transformers"])],
)
def test_a_lock_holds_all_that_the_distribution_asks_for(lock: str, extras: list[str]) -> None:
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"]]
    for extra in extras:
        asked += project["optional-dependencies"][extra]
    names = {re.split(r"[<>=\[]", requirement)[0] for requirement in asked}
    assert names <= set(pins(lock))
