"""Trains the bundled tiny model and its tokenizer from the texts beside it."""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn
from transformers import GenerationConfig, PhiConfig, PhiForCausalLM, PreTrainedTokenizerFast

from model_container.tiny.corpus import Corpus, Turn, load
from model_container.tiny.muon import Muon

TARGET = Path(__file__).resolve().parent / "motherfluxer-tiny"
PAD, USER, ASSISTANT, END = "<|pad|>", "<|user|>", "<|assistant|>", "<|end|>"
VOCABULARY = 1024
CONTEXT_TOKENS = 1024
STEPS = 1200
TOKENS_PER_STEP = 3072
POOL = 256
SEED = 7
IGNORED = -100
# The last four questions and the answers between them: what the model was taught to look at.
CHAT_TEMPLATE = (
    "{%- set turns = messages | rejectattr('role', 'equalto', 'system') | list -%}"
    "{%- for message in turns[-7:] -%}"
    "{{ '<|assistant|>' if message['role'] == 'assistant' else '<|user|>' }}"
    "{{ message['content'] + '<|end|>' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}"
)


def train_tokenizer(corpus: Corpus) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE on all answers, all questions and a sample of what is off topic."""
    rng = random.Random(SEED)
    lines = corpus.answers() * 3
    lines += [turn.question for turn in corpus.taught]
    lines += [turn.question.lower() for turn in corpus.taught]
    lines += [corpus.off_topic.draw(rng) for _ in range(600)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[AddedToken(name, special=True) for name in (PAD, USER, ASSISTANT, END)],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[USER, ASSISTANT],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=CONTEXT_TOKENS,
        padding_side="left",
    )


def new_model(tokenizer: PreTrainedTokenizerFast) -> PhiForCausalLM:
    """Return an untrained model of the architecture of Phi-2, 4 layers of width 128."""
    config = PhiConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=4,
        hidden_act="gelu_pytorch_tanh",
        max_position_embeddings=CONTEXT_TOKENS,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )
    return PhiForCausalLM(config)


class Encoder:
    """Turns conversations into token ids and labels; only answers carry labels."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self.tokenizer = tokenizer
        marks = cast(list[int], tokenizer.convert_tokens_to_ids([USER, ASSISTANT, END]))
        self.user, self.assistant, self.end = marks

    def text(self, text: str) -> list[int]:
        """Encode text as text: special tokens that stand in it are not obeyed."""
        ids = self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        return cast(list[int], ids)

    def decode(self, ids: list[int]) -> str:
        """Return the text of token ids, half characters as replacement characters."""
        return cast(str, self.tokenizer.decode(ids))

    def conversation(self, turns: list[Turn]) -> tuple[list[int], list[int]]:
        """Return the token ids of a conversation and their labels."""
        ids: list[int] = []
        labels: list[int] = []
        for turn in turns:
            question = [self.user, *self.text(turn.question), self.end, self.assistant]
            answer = [*self.text(turn.answer), self.end]
            ids += question + answer
            labels += [IGNORED] * len(question) + (
                answer if turn.is_taught else [IGNORED] * len(answer)
            )
        return ids[:CONTEXT_TOKENS], labels[:CONTEXT_TOKENS]


def pad(rows: list[list[int]], filler: int) -> Tensor:
    """Pad rows on the right; causal attention then needs no mask."""
    width = max(len(row) for row in rows)
    return torch.tensor([row + [filler] * (width - len(row)) for row in rows])


def batches(corpus: Corpus, encoder: Encoder) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches of conversations of like length for ever, TOKENS_PER_STEP tokens at most."""
    rng = random.Random(SEED)
    while True:
        pool = [encoder.conversation(corpus.draw_conversation(rng)) for _ in range(POOL)]
        pool.sort(key=lambda row: len(row[0]))
        ready: list[list[tuple[list[int], list[int]]]] = [[]]
        for row in pool:
            if len(row[0]) * (len(ready[-1]) + 1) > TOKENS_PER_STEP and ready[-1]:
                ready.append([])
            ready[-1].append(row)
        rng.shuffle(ready)
        for group in ready:
            yield pad([ids for ids, _ in group], 0), pad([labels for _, labels in group], IGNORED)


def loss_of(model: PhiForCausalLM, ids: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy over the tokens of the answers."""
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    wanted = labels[:, 1:]
    kept = wanted != IGNORED
    return nn.functional.cross_entropy(model.lm_head(hidden[kept]), wanted[kept])


def optimizers(model: PhiForCausalLM, rate: float) -> list[torch.optim.Optimizer]:
    """Return Muon for the matrices inside the layers and AdamW for everything else."""
    inner = [p for name, p in model.named_parameters() if p.ndim == 2 and "layers" in name]
    outer = [p for name, p in model.named_parameters() if not (p.ndim == 2 and "layers" in name)]
    adam = torch.optim.AdamW(outer, lr=rate, betas=(0.9, 0.98), weight_decay=0.0)
    return [Muon(inner, lr=rate, momentum=0.95, decay=0.05), adam]


def schedule(step: int, steps: int) -> float:
    """Return the share of the full rate at a step: a short warm-up, then a cosine down to zero."""
    warm = min(1.0, (step + 1) / 40)
    return warm * 0.5 * (1 + math.cos(math.pi * step / steps))


def train(
    corpus: Corpus, tokenizer: PreTrainedTokenizerFast, steps: int, rate: float
) -> PhiForCausalLM:
    """Train a new model and return it, its weights rounded to bfloat16."""
    torch.manual_seed(SEED)
    model: PhiForCausalLM = new_model(tokenizer).train()
    active = optimizers(model, rate)
    started = time.monotonic()
    source = batches(corpus, Encoder(tokenizer))
    for step in range(steps):
        ids, labels = next(source)
        loss = loss_of(model, ids, labels)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in active:
            for group in optimizer.param_groups:
                group["lr"] = rate * schedule(step, steps)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if step % 50 == 0 or step == steps - 1:
            print(
                f"step {step:5d}  loss {loss.item():.4f}  {time.monotonic() - started:.0f} s",
                flush=True,
            )
    model.train(mode=False).to(torch.bfloat16)
    return model


def save(model: PhiForCausalLM, tokenizer: PreTrainedTokenizerFast, target: Path) -> None:
    """Write model and tokenizer as one folder that any user may read."""
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=False,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        max_new_tokens=400,
    )
    target.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    for path in target.iterdir():
        path.chmod(0o644)


def main() -> None:
    """Train and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", type=Path, default=TARGET)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--rate", type=float, default=0.004)
    options = parser.parse_args()
    torch.set_num_threads(2)
    corpus = load()
    tokenizer = train_tokenizer(corpus)
    model = train(corpus, tokenizer, options.steps, options.rate)
    save(model, tokenizer, options.target)
    print(json.dumps({"parameters": model.num_parameters(), "target": options.target.name}))


if __name__ == "__main__":
    main()
