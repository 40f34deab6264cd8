"""Makes a random model that needs a while for an answer: `python -m tests.acceptance.slow_model`.

The bundled model is so quick that its answers are over before anything can happen to them.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from tests.sites import TINY_MODEL


def make_slow_model(folder: Path) -> None:
    """Save a model of the bundled one's kind, with its tokenizer, that says whole characters."""
    tokenizer: Any = AutoTokenizer.from_pretrained(TINY_MODEL)
    config: Any = AutoConfig.from_pretrained(TINY_MODEL)
    config.hidden_size, config.intermediate_size = 384, 1536
    config.num_hidden_layers, config.num_attention_heads = 4, 6
    config.num_key_value_heads = 6
    config.initializer_range = 0.2
    torch.manual_seed(7)
    make: Any = AutoModelForCausalLM.from_config  # untyped in the library
    model = make(config)
    with torch.no_grad():
        for token_id in range(config.vocab_size):
            text = tokenizer.decode([token_id])
            is_said = text.isprintable() and "\ufffd" not in text and not text.startswith("<|")
            model.lm_head.bias[token_id] = 0.0 if is_said and text else -1e4
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    make_slow_model(Path(sys.argv[1]))
