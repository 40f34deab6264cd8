"""Getting a model's files: from a folder, from a hub of our own on loopback, from the disk."""

import errno
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from motherfluxer_model.engines.fetching import explain_hub, find_folder
from motherfluxer_model.errors import EngineLoadError
from motherfluxer_model.testing.hub import COMMIT, FakeHub

# The library reads its environment when it is imported: each look at a hub is a process of its own.
FIND = """
import sys
from motherfluxer_model.engines.fetching import find_folder
from motherfluxer_model.errors import EngineLoadError
try:
    print(find_folder(sys.argv[1], sys.argv[2] or None))
except EngineLoadError as error:
    print(f"not found: {error}")
"""


@pytest.fixture
def served(model_folder: Path, tmp_path: Path) -> Path:
    """Give a folder as a hub has it, with what no instance needs."""
    folder = tmp_path / "served"
    shutil.copytree(model_folder, folder)
    (folder / "README.md").write_text("words")
    (folder / "pytorch_model.bin").write_bytes(b"older weights")
    return folder


class Finder:
    """Looks for models with a cache of its own."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache

    def find(self, hub: FakeHub, model: str = "someone/phi", revision: str = "") -> str:
        env = {"HF_ENDPOINT": hub.url, "HF_HOME": str(self._cache), "NO_PROXY": "127.0.0.1"}
        done = subprocess.run(
            [sys.executable, "-c", FIND, model, revision],
            env={**env, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def finder(tmp_path: Path) -> Finder:
    return Finder(tmp_path / "cache")


def test_hub_id_is_fetched_once_and_without_what_is_not_needed(
    served: Path, finder: Finder
) -> None:
    with FakeHub("someone/phi", served) as hub:
        folder = Path(finder.find(hub))
        assert folder.name == COMMIT
        names = {path.name for path in folder.iterdir()}
        assert {"model.safetensors", "config.json", "tokenizer.json"} <= names
        assert not names & {"README.md", "pytorch_model.bin"}
        hub.asked.clear()
        assert finder.find(hub) == str(folder)
        assert not [path for path in hub.asked if "/resolve/" in path]


def test_older_weights_are_fetched_where_there_are_no_others(served: Path, finder: Finder) -> None:
    (served / "model.safetensors").unlink()
    with FakeHub("someone/phi", served) as hub:
        assert (Path(finder.find(hub)) / "pytorch_model.bin").is_file()


def test_model_that_was_fetched_before_needs_no_hub(served: Path, finder: Finder) -> None:
    with FakeHub("someone/phi", served) as hub:
        folder = finder.find(hub)
        hub.token = "changed"
        assert finder.find(hub) == folder


def test_hub_that_refuses_is_explained(served: Path, finder: Finder) -> None:
    with FakeHub("someone/phi", served, token="secret") as hub:
        assert "HF_TOKEN" in finder.find(hub)
        hub.token = None
        assert "none of this name" in finder.find(hub, "someone/other")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (LocalEntryNotFoundError("long story"), "cannot be reached"),
        (OSError(errno.ENOSPC, "No space left on device"), "HF_HOME"),
        (OSError("first line\nsecond line"), "first line"),
    ],
)
def test_trouble_with_the_hub_is_said_on_one_line(error: Exception, words: str) -> None:
    assert words in explain_hub(error)
    assert "\n" not in explain_hub(error)


@pytest.mark.parametrize("path", ["./x", "/x/y", "~/x", "a/b/c", "a\\b"])
def test_what_looks_like_a_folder_is_not_asked_of_the_hub(path: str) -> None:
    with pytest.raises(EngineLoadError, match="no folder"):
        find_folder(path, None)


def test_folder_is_taken_as_it_is(model_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert find_folder(str(model_folder), None) == model_folder
    assert not caplog.records
