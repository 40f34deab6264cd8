"""How much memory a model takes, from what its files say of themselves. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Final

FLOAT32_UP_TO_BYTES: Final = 2 * 1024**3  # `auto` on a processor: files up to here as float32
_WIDTHS: Final = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0}
_QUANTIZED_WIDTHS: Final = {"8bit": 1.0, "4bit": 0.6}  # with the scales beside
_FLOATS: Final = frozenset({"F64", "F32", "F16", "BF16"})


@dataclass(frozen=True, slots=True)
class Weights:
    """A model's weights as they lie in files."""

    file_bytes: int
    float_parameters: int  # those whose type can be chosen
    other_bytes: int  # those that stay as they are: quantized weights, tables

    def loaded_bytes(self, dtype: str, quantize: str = "no") -> int:
        """Give what they take when loaded as this type; `auto` means on a processor."""
        if dtype == "auto":
            dtype = "float32" if self.file_bytes <= FLOAT32_UP_TO_BYTES else "bfloat16"
        width = _QUANTIZED_WIDTHS.get(quantize) or _WIDTHS.get(dtype, 4.0)
        return int(self.float_parameters * width) + self.other_bytes


def sum_headers(headers: list[Mapping[str, Any]], file_bytes: int) -> Weights:
    """Sum up the headers of safetensors files."""
    floats = others = 0
    for header in headers:
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            if entry["dtype"] in _FLOATS:
                floats += prod(entry["shape"])
            else:
                first, last = entry["data_offsets"]
                others += last - first
    return Weights(file_bytes, floats, others)


def conversation_bytes(config: Mapping[str, Any], width: int) -> int | None:
    """Give what one whole conversation's keys and values take; None: the configuration is silent.

    Two tensors a layer, each heads x head size numbers a token.
    """
    config = config.get("text_config") or config
    heads = config.get("num_attention_heads") or config.get("n_head")
    layers = config.get("num_hidden_layers") or config.get("n_layer")
    width_of_layer = config.get("hidden_size") or config.get("n_embd")
    tokens = config.get("max_position_embeddings") or config.get("n_positions")
    if not (heads and layers and width_of_layer and tokens):
        return None
    head_size = config.get("head_dim") or width_of_layer // heads
    kept_heads = config.get("num_key_value_heads") or heads
    return int(2 * layers * kept_heads * head_size * width * tokens)


def show_bytes(count: float) -> str:
    """Say a number of bytes for people."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
