"""A small random model for the container's tests: the shape of a real one, none of its sense."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# Machines are shared: how long an example takes says nothing about the product.
settings.register_profile("steady", deadline=None)
settings.load_profile("steady")

WORDS = (
    "the router picks an instance and the answer goes on where it stopped; "
    "visitors ask, instances answer. Grüße, café, naïve, 日本語, привет, 😀 👩‍🚀 ok\n"
)
SPECIAL = ["<|pad|>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"]
TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] "
    "+ '<|end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def make_tokenizer() -> Any:
    """Train a byte-level BPE tokenizer with a chat template."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    make: Any = PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=[AddedToken(text, special=True) for text in SPECIAL],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator([WORDS] * 3, trainer)
    return make(
        tokenizer_object=raw, eos_token="<|end|>", pad_token="<|pad|>", chat_template=TEMPLATE
    )


def make_model_folder(folder: Path) -> Path:
    """Save a random Phi that says whole characters only, and its tokenizer."""
    import torch
    from transformers import PhiConfig, PhiForCausalLM

    tokenizer = make_tokenizer()
    config = PhiConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=256,
        hidden_act="gelu_pytorch_tanh",
        initializer_range=0.4,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(11)
    model = PhiForCausalLM(config)
    with torch.no_grad():
        for token_id in range(len(tokenizer)):
            text = tokenizer.decode([token_id])
            is_whole = token_id >= len(SPECIAL) and "\ufffd" not in text and text.isprintable()
            model.lm_head.bias[token_id] = 0.0 if is_whole else -1e4
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a small random model."""
    return make_model_folder(tmp_path_factory.mktemp("models") / "random-phi")


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    """Give a byte-level tokenizer with a chat template."""
    return make_tokenizer()
