"""A model's files tell its size without being loaded."""

import json
from math import prod
from pathlib import Path

import pytest

from motherfluxer_model.weights import read_config, survey_folder

TINY = Path(__file__).parent.parent / "tiny" / "motherfluxer-tiny"


def test_files_of_the_bundled_model_are_counted() -> None:
    from safetensors import safe_open

    with safe_open(TINY / "model.safetensors", framework="np") as opened:
        shapes = [opened.get_slice(name).get_shape() for name in opened.keys()]  # noqa: SIM118
    count = sum(prod(shape) for shape in shapes)
    weights = survey_folder(TINY)
    assert weights.float_parameters == count
    assert weights.file_bytes == (TINY / "model.safetensors").stat().st_size


def test_older_files_are_taken_for_half_width(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(bytes(100))
    assert survey_folder(tmp_path).float_parameters == 50


@pytest.mark.parametrize(
    "content", [b"", b"nonsense that is long enough", b"\x02" + bytes(7) + b"[]"]
)
def test_broken_file_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=r"safetensors|Expecting"):
        survey_folder(tmp_path)


def test_configuration_that_is_none_is_empty(tmp_path: Path) -> None:
    assert read_config(tmp_path) == {}
    for content in ("[]", "{"):
        (tmp_path / "config.json").write_text(content)
        assert read_config(tmp_path) == {}
    (tmp_path / "config.json").write_text(json.dumps({"hidden_size": 4}))
    assert read_config(tmp_path) == {"hidden_size": 4}
