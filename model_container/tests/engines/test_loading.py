"""Telling models apart, and loading them."""

import shutil
from pathlib import Path

import pytest
import torch

from motherfluxer_model.engines import loading
from motherfluxer_model.engines.loading import digest_folder, load_folder
from motherfluxer_model.errors import EngineLoadError

TINY = Path(__file__).parents[2] / "tiny" / "motherfluxer-tiny"


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


def test_loaded_model_knows_its_ends_and_its_context(model_folder: Path) -> None:
    loaded = load_folder(model_folder, dtype="auto", threads=1)
    end = loaded.tokenizer.convert_tokens_to_ids("<|end|>")
    assert loaded.end_ids == {end}
    assert loaded.context_tokens == 256
    assert str(loaded.model.dtype) == "torch.float32"
    half = load_folder(model_folder, dtype="bfloat16", threads=1)
    assert str(half.model.dtype) == "torch.bfloat16"


@pytest.mark.parametrize("kind", ["8bit", "4bit"])
def test_weights_in_fewer_bits_answer_nearly_as_the_whole_ones(kind: str) -> None:
    whole = load_folder(TINY, dtype="float32")
    small = load_folder(TINY, dtype="float32", quantize=kind)
    assert small.model.get_memory_footprint() < whole.model.get_memory_footprint()
    ids = torch.tensor([whole.tokenizer.encode("What is MotherFluxer?")])
    told, expected = (m.model(ids).logits[0, -1].float() for m in (small, whole))
    assert torch.cosine_similarity(told, expected, dim=0) > 0.9


def test_what_fewer_bits_need_is_named(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "QUANTIZERS", ("no_such_package",))
    with pytest.raises(EngineLoadError, match=r"needs no_such_package: pip install"):
        load_folder(model_folder, quantize="4bit")
