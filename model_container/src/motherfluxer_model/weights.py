"""Looking at a model's files without loading them, and without torch."""

import json
from pathlib import Path
from typing import Any, Final

from motherfluxer_model.core.sizes import Weights, sum_headers

_LENGTH_BYTES: Final = 8  # a safetensors file begins with the length of its header
_MAX_HEADER_BYTES: Final = 100_000_000
_UNKNOWN_WIDTH: Final = 2  # what the numbers of older files mostly are


def survey_folder(folder: Path) -> Weights:
    """Sum up the weights in a folder. Raises OSError or ValueError where they cannot be read."""
    files = sorted(folder.glob("*.safetensors"))
    if files:
        return sum_headers([_read_header(file) for file in files], _size(files))
    size = _size(sorted(folder.glob("*.bin")))
    return Weights(size, size // _UNKNOWN_WIDTH, 0)


def read_config(folder: Path) -> dict[str, Any]:
    """Give the model's configuration; nothing where there is none that can be read."""
    try:
        config = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def _read_header(file: Path) -> dict[str, Any]:
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(_LENGTH_BYTES), "little")
        if length > _MAX_HEADER_BYTES:
            raise ValueError(f"{file.name} is no safetensors file")
        header = json.loads(opened.read(length))
    if not isinstance(header, dict):
        raise ValueError(f"{file.name} is no safetensors file")
    return header


def _size(files: list[Path]) -> int:
    return sum(file.stat().st_size for file in files)
