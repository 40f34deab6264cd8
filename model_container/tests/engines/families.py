"""Tiny random models of the families that people run, by their own configuration classes."""

from typing import Any, Final

import torch
from transformers import AutoConfig, AutoModelForCausalLM

CONTEXT_TOKENS: Final = 128
VOCABULARY: Final = 96
_SHAPE: Final = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": CONTEXT_TOKENS,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_SHARED_KEYS: Final = {**_SHAPE, "num_key_value_heads": 2}
_NO_WINDOW: Final = {**_SHARED_KEYS, "sliding_window": None}
IN_BATCHES: Final[dict[str, dict[str, Any]]] = {
    "phi": _SHAPE,
    "llama": _SHARED_KEYS,
    "qwen2": _SHARED_KEYS,
    "qwen3": {**_SHARED_KEYS, "head_dim": 16},
    "mistral": _NO_WINDOW,
    "phi3": _NO_WINDOW,
    "gemma": {**_SHARED_KEYS, "head_dim": 16},
    "gpt_neox": _SHAPE,
    "gpt2": {**_SHAPE, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": CONTEXT_TOKENS},
    "opt": {**_SHAPE, "ffn_dim": 48, "word_embed_proj_dim": 32},
    "starcoder2": _NO_WINDOW,
    "olmo2": _SHARED_KEYS,
    "stablelm": _SHARED_KEYS,
    "granite": _SHARED_KEYS,
    "cohere": _SHARED_KEYS,
    "smollm3": _SHARED_KEYS,
    "mixtral": {**_NO_WINDOW, "num_local_experts": 4, "num_experts_per_tok": 2},
}
ONE_BY_ONE: Final[dict[str, dict[str, Any]]] = {
    "falcon": {**_SHAPE, "alibi": False},
    "bloom": {**_SHAPE, "n_head": 4, "n_layer": 2},
    "gemma2": {**_SHARED_KEYS, "head_dim": 16, "sliding_window": 8},
    "gemma3_text": {**_SHARED_KEYS, "head_dim": 16, "sliding_window": 8},
    "mamba": {**_SHAPE, "state_size": 8},
}
SLIDING: Final = {**_SHARED_KEYS, "sliding_window": 8}


def make_model(family: str, shape: dict[str, Any]) -> Any:
    """Make a model whose answers depend on all that it has read."""
    torch.manual_seed(7)
    known = {key: value for key, value in shape.items() if key != "max_position_embeddings"}
    positions = {"max_position_embeddings": shape.get("max_position_embeddings")}
    positions = {} if family in ("bloom", "mamba", "gpt2") else positions
    config = AutoConfig.for_model(family, **known, **positions, initializer_range=0.3)
    make: Any = AutoModelForCausalLM.from_config  # untyped in the library
    return make(config, dtype=torch.float32).eval().requires_grad_(False)
