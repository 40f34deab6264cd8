"""Finding a model's files and telling them apart."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from motherfluxer_model.engines import loading
from motherfluxer_model.engines.loading import digest_folder, find_folder, load_folder
from motherfluxer_model.errors import EngineLoadError


def test_fingerprint_follows_weights_and_tokenizer_and_nothing_else(
    model_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(model_folder, folder)
    same = digest_folder(model_folder)
    (folder / "README.md").write_text("other words")
    assert digest_folder(folder) == same
    for name in ("model.safetensors", "tokenizer.json"):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[:-1] + b"?")
        assert digest_folder(folder) != same
        (folder / name).write_bytes(data)


def test_hub_cache_and_folder_have_one_fingerprint(model_folder: Path, tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "abc"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    for path in model_folder.iterdir():
        import hashlib

        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        shutil.copy(path, blobs / digest)
        (snapshot / path.name).symlink_to(blobs / digest)
    assert digest_folder(snapshot) == digest_folder(model_folder)


def test_hub_id_is_fetched_without_what_is_not_needed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[dict[str, Any]] = []

    def fetch(model: str, **options: Any) -> str:
        asked.append({"model": model, **options})
        if "*.bin" in options["allow_patterns"]:
            (tmp_path / "pytorch_model.bin").touch()
        return str(tmp_path)

    monkeypatch.setattr(loading, "snapshot_download", fetch)
    assert find_folder("someone/old-model", "main") == tmp_path
    assert [call["revision"] for call in asked] == ["main", "main"]
    assert "*.safetensors" in asked[0]["allow_patterns"]
    asked.clear()
    (tmp_path / "model.safetensors").touch()
    find_folder("someone/new-model", None)
    assert len(asked) == 1


def test_hub_that_cannot_be_reached_is_an_error_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(model: str, **options: Any) -> str:
        raise OSError("no route")

    monkeypatch.setattr(loading, "snapshot_download", fail)
    with pytest.raises(EngineLoadError, match="no route"):
        find_folder("microsoft/phi-2", None)


@pytest.mark.parametrize("path", ["./x", "/x/y", "~/x", "a/b/c", "a\\b"])
def test_what_looks_like_a_folder_is_not_asked_of_the_hub(path: str) -> None:
    with pytest.raises(EngineLoadError, match="no folder"):
        find_folder(path, None)


def test_loaded_model_knows_its_ends_and_its_context(model_folder: Path) -> None:
    loaded = load_folder(model_folder, dtype="auto", threads=1)
    end = loaded.tokenizer.convert_tokens_to_ids("<|end|>")
    assert loaded.end_ids == {end}
    assert loaded.context_tokens == 256
    assert str(loaded.model.dtype) == "torch.float32"
    half = load_folder(model_folder, dtype="bfloat16", threads=1)
    assert str(half.model.dtype) == "torch.bfloat16"
