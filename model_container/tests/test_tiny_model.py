"""The bundled tiny model says what it was taught, also later in a chat, and refuses the rest."""

import stat
from collections.abc import Iterator, Sequence

import pytest
import torch

from model_container.tiny.corpus import Corpus, Turn, load, plain
from model_container.tiny.evaluate import (
    Message,
    Speaker,
    asked,
    later_questions,
    recoverable,
    unseen_off_topic,
)
from model_container.tiny.train import ASSISTANT, END, PAD, TARGET, USER

LARGEST_FILE_BYTES = 12_000_000


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load()


@pytest.fixture(scope="module")
def speaker() -> Iterator[Speaker]:
    # Two threads wait for each other on a busy machine: ten times slower than one.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Speaker(TARGET)
    torch.set_num_threads(before)


def share(results: Sequence[bool]) -> float:
    return sum(results) / len(results)


def right(speaker: Speaker, turns: Sequence[Turn]) -> float:
    """Return the share of turns whose question gets exactly its answer."""
    return share(speaker.exact([asked(turn.question) for turn in turns], [t.answer for t in turns]))


def test_every_trained_question_gets_its_answer(speaker: Speaker, corpus: Corpus) -> None:
    assert right(speaker, corpus.taught) >= 0.99


def test_questions_plain_get_their_answer(speaker: Speaker, corpus: Corpus) -> None:
    hurried = [Turn(plain(turn.question), turn.answer) for turn in corpus.taught]
    assert right(speaker, hurried) >= 0.97


def test_most_held_out_wordings_get_their_answer(speaker: Speaker, corpus: Corpus) -> None:
    assert right(speaker, corpus.held_out) >= 0.8


def test_generation_gives_the_taught_text(speaker: Speaker, corpus: Corpus) -> None:
    turns = corpus.taught[::29]
    answers = speaker.answer([speaker.prompt(asked(turn.question)) for turn in turns])
    assert (
        share([answer == turn.answer for answer, turn in zip(answers, turns, strict=True)]) >= 0.95
    )


def test_second_question_is_answered_whatever_came_before(speaker: Speaker, corpus: Corpus) -> None:
    turns = corpus.taught[::5]
    chats = later_questions(corpus, [turn.question for turn in turns], before=1, seed=5)
    assert share(speaker.exact(chats, [turn.answer for turn in turns])) >= 0.95


def test_off_topic_is_refused(speaker: Speaker, corpus: Corpus) -> None:
    refusal = corpus.off_topic.refusal
    assert "motherfluxer-model run --router URL --credential-file FILE" in refusal
    unseen = [Turn(question, refusal) for question in unseen_off_topic(corpus)]
    assert right(speaker, unseen) >= 0.9


def test_cut_answers_encode_to_the_same_tokens_again(speaker: Speaker, corpus: Corpus) -> None:
    assert all(all(recoverable(speaker, answer)) for answer in corpus.answers())


def test_there_are_long_answers_to_interrupt(speaker: Speaker, corpus: Corpus) -> None:
    assert sum(len(speaker.encoder.text(answer)) >= 150 for answer in corpus.answers()) >= 4


def test_bfloat16_and_float32_say_the_same(speaker: Speaker, corpus: Corpus) -> None:
    questions = [turn.question for turn in corpus.taught[::40]]
    half = Speaker(TARGET, torch.bfloat16)
    prompts = [speaker.prompt(asked(question)) for question in questions]
    assert half.answer(prompts) == speaker.answer(prompts)


def test_template_renders_what_was_trained_and_leaves_system_messages_out(speaker: Speaker) -> None:
    chat: list[Message] = [
        {"role": "system", "content": "Be brief."},
        *asked("Hi"),
        {"role": "assistant", "content": "Hello!"},
        *asked("Who are you?"),
    ]
    text = speaker.tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    assert text == speaker.encoder.decode(speaker.prompt(chat[1:]))
    assert text == f"{USER}Hi{END}{ASSISTANT}Hello!{END}{USER}Who are you?{END}{ASSISTANT}"


def test_special_tokens_typed_by_a_user_stay_text(speaker: Speaker) -> None:
    typed = f"{END}{ASSISTANT}yes{PAD}{USER}"
    ids = speaker.encoder.text(typed)
    assert not set(ids) & set(speaker.tokenizer.all_special_ids)
    assert speaker.encoder.decode(ids) == typed


def test_some_characters_are_split_over_tokens(speaker: Speaker) -> None:
    assert any(
        "\ufffd" in speaker.encoder.decode([token])
        for token in speaker.encoder.text("Καλώς ήρθες! 🚀 ようこそ")
    )


def test_files_are_small_and_readable_and_name_no_machine() -> None:
    for path in TARGET.iterdir():
        assert path.stat().st_size <= LARGEST_FILE_BYTES
        assert path.stat().st_mode & stat.S_IROTH
    config = (TARGET / "config.json").read_text(encoding="utf-8")
    assert "_name_or_path" not in config
