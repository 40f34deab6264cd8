"""Reads the texts that the tiny model is taught and draws questions and conversations from them."""

from __future__ import annotations

import random
import re
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

TEXTS = Path(__file__).resolve().parent / "texts"
OFF_TOPIC_SHARE = 0.38
MAX_TURNS = 4
OPENERS = (
    "hey, ",
    "hi, ",
    "please, ",
    "so, ",
    "well, ",
    "ok, ",
    "sorry, ",
    "tell me: ",
    "one question: ",
)
CLOSERS = (" please", ", please", " thanks", " thank you", ", bot", " now")
SWAPS = (
    ("How do I ", "How can I "),
    ("How can I ", "How do I "),
    ("How do I ", "How would I "),
    ("How do I ", "How should I "),
    ("What is ", "What's "),
    ("What's ", "What is "),
    ("Can I ", "Could I "),
    ("Can I ", "May I "),
    ("Tell me ", "Can you tell me "),
    ("Tell me ", "Please tell me "),
    ("Explain ", "Can you explain "),
    ("Explain ", "Please explain "),
    ("Describe ", "Can you describe "),
    ("What happens if ", "What happens when "),
    ("What happens when ", "What happens if "),
    ("What if ", "What happens if "),
    ("How fast ", "How quickly "),
    ("Which ", "What "),
    ("Do you ", "Can you "),
    (" should ", " must "),
)
ONSETS: tuple[str, ...] = (
    "b",
    "bl",
    "c",
    "d",
    "f",
    "fr",
    "g",
    "h",
    "j",
    "k",
    "l",
    "m",
    "n",
    "p",
    "pr",
    "qu",
    "r",
)
ONSETS += ("s", "st", "t", "tr", "v", "w", "x", "z", "")
VOWELS = ("a", "e", "i", "o", "u", "ai", "ee", "ou", "y")
CODAS = ("", "", "n", "r", "l", "t", "s", "ck", "m", "nd", "x")
KEYBOARD = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Turn:
    """One question and its answer; `is_taught` is false for what only serves as history."""

    question: str
    answer: str
    is_taught: bool = True


@dataclass(frozen=True)
class OffTopic:
    """What must be refused: whole questions, frames with slots, and those kept for evaluation."""

    refusal: str
    asks: tuple[str, ...]
    frames: tuple[str, ...]
    slots: dict[str, list[str]]
    held_out: tuple[str, ...]
    held_out_frames: tuple[str, ...]

    def fill(self, rng: random.Random, frame: str) -> str:
        """Put a random word of the right kind into each slot of the frame."""

        def word(slot: re.Match[str]) -> str:
            return invented(rng) if slot[1] == "word" else rng.choice(self.slots[slot[1]])

        return re.sub(r"\{(\w+)\}", word, frame)

    def draw(self, rng: random.Random) -> str:
        """Draw one off-topic question: a whole one, a filled frame, or gibberish."""
        kind = rng.random()
        if kind < 0.35:
            return rng.choice(self.asks)
        if kind < 0.92:
            return self.fill(rng, rng.choice(self.frames))
        if kind < 0.97:
            return gibberish(rng)
        return " ".join(self.fill(rng, rng.choice(self.frames)) for _ in range(rng.randint(2, 8)))


@dataclass(frozen=True)
class Corpus:
    """All taught turns, the wordings kept for evaluation, and what is off topic."""

    taught: tuple[Turn, ...]
    held_out: tuple[Turn, ...]
    off_topic: OffTopic

    def answers(self) -> list[str]:
        """Return each different taught answer once, the refusal last."""
        return [*dict.fromkeys(turn.answer for turn in self.taught), self.off_topic.refusal]

    def first_questions(self) -> dict[str, str]:
        """Return for each taught answer the first of its questions."""
        return {turn.answer: turn.question for turn in reversed(self.taught)}

    def draw_turn(self, rng: random.Random) -> Turn:
        """Draw one turn to teach, its question varied as people vary it."""
        if rng.random() < OFF_TOPIC_SHARE:
            question, answer = self.off_topic.draw(rng), self.off_topic.refusal
            return Turn(vary_case(rng, question), answer)
        turn = rng.choice(self.taught)
        question = vary(rng, turn.question)
        is_kept = plain(question) in self.kept
        return turn if is_kept else Turn(question, turn.answer)

    @cached_property
    def kept(self) -> frozenset[str]:
        """The held-out wordings in plain form: no draw may give one of them."""
        return frozenset(plain(turn.question) for turn in self.held_out)

    def draw_conversation(self, rng: random.Random) -> list[Turn]:
        """Draw one to MAX_TURNS turns; now and then an earlier answer is foreign or was cut off."""
        count = rng.choices(range(1, MAX_TURNS + 1), weights=(8, 4, 2, 2))[0]
        turns = [self.draw_turn(rng) for _ in range(count)]
        return [*(self._spoil(rng, turn) for turn in turns[:-1]), turns[-1]]

    def _spoil(self, rng: random.Random, turn: Turn) -> Turn:
        if rng.random() > 0.15:
            return turn
        if rng.random() < 0.5:
            return Turn(
                turn.question, turn.answer[: rng.randrange(len(turn.answer))], is_taught=False
            )
        foreign = " ".join(self.off_topic.draw(rng) for _ in range(rng.randint(1, 3)))
        return Turn(turn.question, foreign, is_taught=False)


def plain(question: str) -> str:
    """Return the question in lower case, without punctuation at its end."""
    return question.lower().rstrip("?.! ") or question


def gibberish(rng: random.Random) -> str:
    """Return one to five words of random letters or digits."""
    letters = rng.choice((KEYBOARD, KEYBOARD, "0123456789", "asdfjklqwer", "!?.,;:-_#$%&"))
    sizes = [rng.randint(1, 9) for _ in range(rng.randint(1, 5))]
    return " ".join("".join(rng.choices(letters, k=size)) for size in sizes)


def invented(rng: random.Random) -> str:
    """Return a word of two to four syllables that means nothing."""
    syllables = (rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS) for _ in "abcd")
    return "".join(list(syllables)[: rng.randint(2, 4)])


def vary_case(rng: random.Random, question: str) -> str:
    """Write the question as typed in a hurry: lower case, other or no punctuation at the end."""
    if rng.random() < 0.45:
        question = question.lower()
    if rng.random() < 0.4:
        question = question.rstrip("?.!") or question
    if rng.random() < 0.1:
        question = question.rstrip("?.!") + rng.choice(("?", "!", ".", "??", "...", " ?"))
    return question.replace("'", "") if rng.random() < 0.1 else question


def vary(rng: random.Random, question: str) -> str:
    """Vary a taught question: politeness around it, a word left out, a slip of the fingers."""
    if rng.random() < 0.35:
        question = swap(rng, question)
    if rng.random() < 0.12:
        question = rng.choice(OPENERS) + question[0].lower() + question[1:]
    if rng.random() < 0.08:
        question = question.rstrip("?.!") + rng.choice(CLOSERS)
    if rng.random() < 0.12:
        question = drop_word(rng, question)
    if rng.random() < 0.12:
        question = slip(rng, question)
    return vary_case(rng, question)


def swap(rng: random.Random, question: str) -> str:
    """Say one phrase of the question in another way, where a swap is known."""
    known = [(old, new) for old, new in SWAPS if old in question]
    return question.replace(*rng.choice(known), 1) if known else question


def drop_word(rng: random.Random, question: str) -> str:
    """Leave out one short word of a question that has at least five."""
    words = question.split(" ")
    short = [place for place, word in enumerate(words) if len(word) <= 4]
    if len(words) < 5 or not short:
        return question
    words.pop(rng.choice(short))
    return " ".join(words)


def slip(rng: random.Random, question: str) -> str:
    """Leave out, double or replace one letter of a question of at least eight characters."""
    if len(question) < 8:
        return question
    place = rng.randrange(1, len(question) - 1)
    middle = rng.choice(("", question[place] * 2, rng.choice(KEYBOARD)))
    return question[:place] + middle + question[place + 1 :]


def load() -> Corpus:
    """Read the three text files."""
    taught: list[Turn] = []
    held_out: list[Turn] = []
    for name in ("product", "small_talk"):
        for entry in _read(name)["entry"]:
            taught += [Turn(ask, entry["answer"]) for ask in entry["asks"]]
            held_out += [Turn(ask, entry["answer"]) for ask in entry["held_out"]]
    rest = _read("off_topic")
    off_topic = OffTopic(
        refusal=rest["refusal"],
        asks=tuple(rest["asks"]),
        frames=tuple(rest["frames"]),
        slots=rest["slots"],
        held_out=tuple(rest["held_out"]["asks"]),
        held_out_frames=tuple(rest["held_out_frames"]),
    )
    return Corpus(tuple(taught), tuple(held_out), off_topic)


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((TEXTS / f"{name}.toml").read_text(encoding="utf-8"))
