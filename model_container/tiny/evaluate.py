"""Measures the tiny model by greedy decoding and prints the table that stands in its card."""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from model_container.tiny.corpus import Corpus, Turn, load, plain
from model_container.tiny.train import IGNORED, TARGET, Encoder, pad

SEED = 11
BATCH = 64
LONG_TOKENS = 80
Message = dict[str, str]


class Speaker:
    """The saved model in float32 with its tokenizer; answers many conversations at a time."""

    def __init__(self, folder: Path, dtype: torch.dtype = torch.float32) -> None:
        self.tokenizer = cast(PreTrainedTokenizerFast, AutoTokenizer.from_pretrained(folder))
        self.encoder = Encoder(self.tokenizer)
        self.model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Encode a conversation: only the template's marks become special tokens."""
        ids: list[int] = []
        for message in messages[-7:]:
            mark = self.encoder.user if message["role"] == "user" else self.encoder.assistant
            ids += [mark, *self.encoder.text(message["content"]), self.encoder.end]
        return [*ids, self.encoder.assistant]

    def answer(self, prompts: Sequence[list[int]]) -> list[str]:
        """Return the greedy answers to encoded prompts, in their order."""
        order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
        answers = [""] * len(prompts)
        for start in range(0, len(order), BATCH):
            group = order[start : start + BATCH]
            texts = self._generate([prompts[place] for place in group])
            for place, text in zip(group, texts, strict=True):
                answers[place] = text
        return answers

    def _generate(self, prompts: list[list[int]]) -> list[str]:
        batch = self.tokenizer.pad({"input_ids": prompts}, return_tensors="pt")
        with torch.inference_mode():
            out = self.model.generate(**batch, do_sample=False)
        width = batch["input_ids"].shape[1]
        return list(self.tokenizer.batch_decode(out[:, width:], skip_special_tokens=True))

    def exact(
        self, conversations: Sequence[Sequence[Message]], wanted: Sequence[str]
    ) -> list[bool]:
        """Say for each conversation whether greedy decoding gives the wanted answer.

        It does where each token of the answer is the likeliest one after those before it, which
        one pass over the whole text shows.
        """
        rows = [
            (self.prompt(messages), [*self.encoder.text(text), self.encoder.end])
            for messages, text in zip(conversations, wanted, strict=True)
        ]
        order = sorted(
            range(len(rows)), key=lambda place: len(rows[place][0]) + len(rows[place][1])
        )
        results = [False] * len(rows)
        for start in range(0, len(order), BATCH):
            group = order[start : start + BATCH]
            for place, is_right in zip(group, self._agrees([rows[p] for p in group]), strict=True):
                results[place] = is_right
        return results

    def _agrees(self, rows: list[tuple[list[int], list[int]]]) -> list[bool]:
        ids = pad([prompt + answer for prompt, answer in rows], self.encoder.end)
        labels = pad([[IGNORED] * len(prompt) + answer for prompt, answer in rows], IGNORED)[:, 1:]
        with torch.inference_mode():
            likeliest = self.model(ids, use_cache=False).logits[:, :-1].argmax(-1)
        return [bool(row) for row in ((likeliest == labels) | (labels == IGNORED)).all(dim=1)]


def asked(question: str) -> list[Message]:
    """Return a conversation of one question."""
    return [{"role": "user", "content": question}]


def history(rng: random.Random, corpus: Corpus, turns: int) -> list[Message]:
    """Draw earlier turns; a quarter of them are off topic."""
    messages: list[Message] = []
    for _ in range(turns):
        turn = rng.choice(corpus.taught + corpus.held_out)
        if rng.random() < 0.25:
            turn = Turn(rng.choice(corpus.off_topic.held_out), corpus.off_topic.refusal)
        messages += asked(turn.question)
        messages.append({"role": "assistant", "content": turn.answer})
    return messages


def later_questions(
    corpus: Corpus, questions: Iterable[str], before: int, seed: int
) -> list[list[Message]]:
    """Put so many random turns before each question."""
    rng = random.Random(seed)
    return [history(rng, corpus, before) + asked(question) for question in questions]


def unseen_off_topic(corpus: Corpus) -> list[str]:
    """Return the off-topic questions kept for evaluation: whole ones and filled frames."""
    rng = random.Random(SEED)
    frames = corpus.off_topic.held_out_frames * 6
    return [*corpus.off_topic.held_out, *(corpus.off_topic.fill(rng, frame) for frame in frames)]


def recoverable(speaker: Speaker, answer: str) -> list[bool]:
    """Cut an answer behind each of its tokens: does the text so far encode to the same ids again?

    Where it does, an instance that is handed only the text goes on exactly like the first one.
    """
    ids = speaker.encoder.text(answer)
    begun = [speaker.encoder.decode(ids[:place]) for place in range(1, len(ids))]
    return [
        speaker.encoder.text(text) == ids[:place]
        for place, text in enumerate(begun, start=1)
        if answer.startswith(text)
    ]


def figures(speaker: Speaker, corpus: Corpus) -> list[tuple[str, list[bool]]]:
    """Return each measure's name and its single results."""
    rows: list[tuple[str, list[bool]]] = []

    def measure(name: str, conversations: list[list[Message]], wanted: list[str]) -> None:
        rows.append((name, speaker.exact(conversations, wanted)))

    for name, turns in (("trained", corpus.taught), ("held-out", corpus.held_out)):
        wanted = [turn.answer for turn in turns]
        measure(f"{name} wordings, exact", [asked(turn.question) for turn in turns], wanted)
        hurried = [asked(plain(turn.question)) for turn in turns]
        measure(f"{name} wordings in lower case without punctuation, exact", hurried, wanted)
        for before in (1, 2, 3):
            sample = turns[before::3]
            questions = [turn.question for turn in sample]
            longer = later_questions(corpus, questions, before, seed=SEED + before)
            name_of_row = f"{name} wordings as question {before + 1} of a chat, exact"
            measure(name_of_row, longer, [turn.answer for turn in sample])
    unseen = unseen_off_topic(corpus)
    refusal = [corpus.off_topic.refusal] * len(unseen)
    measure("unseen off-topic questions refused", [asked(text) for text in unseen], refusal)
    later = later_questions(corpus, unseen, before=1, seed=SEED)
    measure("unseen off-topic questions refused as question 2", later, refusal)
    same = [is_same for answer in corpus.answers() for is_same in recoverable(speaker, answer)]
    rows.append(("places where a cut answer's text encodes to the same tokens again", same))
    return rows


def long_answers(speaker: Speaker, corpus: Corpus, tokens: int) -> str:
    """List a question for each answer of at least so many tokens, longest first."""
    first = corpus.first_questions()
    sizes = {ask: len(speaker.encoder.text(answer)) for answer, ask in first.items()}
    long = sorted((ask for ask in sizes if sizes[ask] >= tokens), key=lambda ask: -sizes[ask])
    return "\n".join(f"- {ask} ({sizes[ask]})" for ask in long)


def table(rows: Iterable[tuple[str, list[bool]]]) -> str:
    """Write the results as a Markdown table."""
    lines = ["| measure | right | of | share |", "|---|---|---|---|"]
    for name, results in rows:
        share = 100 * sum(results) / len(results)
        lines.append(f"| {name} | {sum(results)} | {len(results)} | {share:.1f} % |")
    return "\n".join(lines)


def fill(card: Path, mark: str, text: str) -> None:
    """Put text between the two marks of this name in the card."""
    before, _, after = card.read_text(encoding="utf-8").split(f"<!-- {mark} -->")
    card.write_text(f"{before}<!-- {mark} -->\n{text}\n<!-- {mark} -->{after}", encoding="utf-8")


def main() -> None:
    """Print the table; with --card, also put it between the marks of the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=TARGET)
    parser.add_argument("--card", action="store_true", help="write the figures into the card")
    options = parser.parse_args()
    corpus, speaker = load(), Speaker(options.folder)
    text = table(figures(speaker, corpus))
    print(text)
    if options.card:
        fill(options.folder / "README.md", "figures", text)
        fill(options.folder / "README.md", "long", long_answers(speaker, corpus, LONG_TOKENS))


if __name__ == "__main__":
    main()
