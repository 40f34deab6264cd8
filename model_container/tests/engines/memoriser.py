"""A small model that has learned fifty answers by heart, many of them hard to cut.

Most of their characters take several tokens: emoji with joiners, CJK, combining marks.
"""

from pathlib import Path
from typing import Any, Final

import torch
from transformers import PhiConfig, PhiForCausalLM

NAME: Final = "memoriser"
_IGNORED: Final = -100
MAX_STEPS: Final = 400
LEARNED_AT: Final = 0.004
_PARTS: Final = (
    *("日本語の答え", "😀🎉", "👩‍🚀🧑🏽‍🔬", "é̂ã̧", "Ελληνικά", "привет", "中文字元", "한국어"),
    *(
        "the answer goes on",
        "where it stopped",
        "naïve café",
        "नमस्ते",
        "שלום",
        "🇩🇪🇯🇵",
        "Ω≈ç√",
        "İstanbul",
    ),
)
ANSWERS: Final = tuple(
    " ".join(_PARTS[(number * step + number // 7) % len(_PARTS)] for step in (1, 3, 5))
    for number in range(50)
)


def question(number: int) -> str:
    """Give the question to which the model knows answer `number`."""
    return f"tell {number} again"


def make_memoriser(folder: Path, tokenizer: Any) -> Path:
    """Train it for some seconds and save it."""
    torch.manual_seed(5)
    torch.set_num_threads(1)  # threads cost more than they bring to a model of this size
    config = PhiConfig(
        vocab_size=len(tokenizer),
        hidden_size=96,
        intermediate_size=192,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=256,
        hidden_act="gelu_pytorch_tanh",
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        pad_token_id=tokenizer.pad_token_id,
    )
    model: Any = PhiForCausalLM(config)
    ids, labels = _lesson(tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    loss = float("inf")
    for _ in range(MAX_STEPS):
        output = model(input_ids=ids, labels=labels)
        output.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        loss = output.loss.item()
        if loss < LEARNED_AT:
            break
    assert loss < LEARNED_AT, f"the model has not learned its answers: {loss:.3f}"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _lesson(tokenizer: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Lay out questions and answers as rows; only the answers are to be learned."""
    rows, targets = [], []
    for number, answer in enumerate(ANSWERS):
        turn = [{"role": "user", "content": question(number)}]
        asked = tokenizer.apply_chat_template(turn, add_generation_prompt=True, return_dict=False)
        told = [*tokenizer.encode(answer), tokenizer.eos_token_id]
        rows.append(asked + told)
        targets.append([_IGNORED] * len(asked) + told)
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    labels = torch.tensor([row + [_IGNORED] * (longest - len(row)) for row in targets])
    return ids, labels
