"""The default engine on a small random model: exact hand-overs, limits, and good manners."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
import pytest
import torch

from motherfluxer_model.core.answer import Finished, Piece
from motherfluxer_model.engines import transformers
from motherfluxer_model.engines.batching import BatchRunner
from motherfluxer_model.engines.loading import digest_folder
from motherfluxer_model.engines.runner import CacheState, LibraryRunner
from motherfluxer_model.engines.sequence import Feed
from motherfluxer_model.engines.transformers import TransformersEngine
from motherfluxer_model.errors import EngineLoadError, GenerationError
from motherfluxer_model.testing.router import make_job
from motherfluxer_wire.frames import Job, Message, Sampling

NAME = "random-phi"
TINY = Path(__file__).parents[2] / "tiny" / "motherfluxer-tiny"
LENGTH = 40
POISON = 36  # the token of "@", which no answer says here


@pytest.fixture
async def engine(model_folder: Path) -> AsyncIterator[TransformersEngine]:
    engine = TransformersEngine(str(model_folder), model_name=NAME)
    await engine.prepare()
    yield engine
    await engine.close()


def ask(job: str = "j1", text: str = "Where does the answer go on?", **fields: object) -> Job:
    given: dict[str, object] = {"model": NAME, "sampling": Sampling(max_tokens=LENGTH)}
    return make_job(job, text, **(given | fields))


async def answer(engine: TransformersEngine, job: Job) -> tuple[list[Piece], Finished]:
    said = [item async for item in engine.generate(job)]
    *items, end = said
    assert isinstance(end, Finished)
    pieces = [item for item in items if isinstance(item, Piece)]
    assert end.usage.completion_tokens == sum(piece.tokens for piece in pieces)
    return pieces, end


def joined(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def all_ids(pieces: list[Piece]) -> list[int]:
    return [token_id for piece in pieces for token_id in piece.token_ids or ()]


async def go_on(
    engine: TransformersEngine, pieces: list[Piece], cut: int, sampling: Sampling, *, by_ids: bool
) -> tuple[str, Finished]:
    """Hand the answer over after `cut` pieces; give the joined text."""
    told = pieces[:cut]
    ids = all_ids(told) if by_ids else None
    job = ask(attempt=2, prefix=joined(told), prefix_token_ids=ids, sampling=sampling)
    rest, end = await answer(engine, job)
    return joined(told) + joined(rest), end


@pytest.mark.parametrize("by_ids", [True, False], ids=["ids", "text"])
async def test_greedy_answer_handed_over_after_every_token_is_the_same(
    engine: TransformersEngine, by_ids: bool
) -> None:
    sampling = Sampling(max_tokens=LENGTH, temperature=0)
    pieces, whole_end = await answer(engine, ask(sampling=sampling))
    assert len(pieces) == LENGTH
    for cut in range(len(pieces) + 1):
        text, end = await go_on(engine, pieces, cut, sampling, by_ids=by_ids)
        assert text == joined(pieces), cut
        assert end.reason == whole_end.reason == "length"
        assert end.usage.prompt_tokens == whole_end.usage.prompt_tokens


@pytest.mark.parametrize("temperature", [0.8, 1.5])
async def test_sampled_answer_handed_over_by_ids_is_the_same(
    engine: TransformersEngine, temperature: float
) -> None:
    sampling = Sampling(
        max_tokens=LENGTH,
        temperature=temperature,
        top_p=0.95,
        seed=42,
        frequency_penalty=0.3,
        presence_penalty=0.2,
    )
    pieces, _ = await answer(engine, ask(sampling=sampling))
    for cut in range(0, len(pieces) + 1, 3):
        text, _ = await go_on(engine, pieces, cut, sampling, by_ids=True)
        assert text == joined(pieces), cut


async def test_same_seed_gives_the_same_answer_and_another_one_another(
    engine: TransformersEngine,
) -> None:
    texts = [
        joined((await answer(engine, ask(sampling=Sampling(temperature=1.5, seed=seed))))[0])
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]


async def test_answers_side_by_side_are_those_of_each_alone(engine: TransformersEngine) -> None:
    questions = [f"question {number}" for number in range(5)]
    alone = [joined((await answer(engine, ask(text=text)))[0]) for text in questions]
    together = await asyncio.gather(
        *(answer(engine, ask(f"j{i}", text)) for i, text in enumerate(questions))
    )
    assert [joined(pieces) for pieces, _ in together] == alone


@pytest.mark.parametrize("cut", [0, 1])
async def test_stop_sequence_is_found_though_it_straddles_the_prefix(
    engine: TransformersEngine, cut: int
) -> None:
    pieces, _ = await answer(engine, ask())
    text = joined(pieces)
    at = len(joined(pieces[:10]))
    stop = text[at - 1 : at + 3]
    at = text.index(stop)
    sampling = Sampling(max_tokens=LENGTH, stop=[stop])
    told = next(n for n in range(len(pieces)) if len(joined(pieces[:n])) > at) * cut
    got, end = await go_on(engine, pieces, told, sampling, by_ids=True)
    assert end.reason == "stop"
    assert got == max(text[:at], joined(pieces[:told]), key=len)


async def test_max_tokens_counts_the_prefix(engine: TransformersEngine) -> None:
    pieces, _ = await answer(engine, ask())
    sampling = Sampling(max_tokens=5)
    for cut, rest in ((3, 2), (5, 0), (9, 0)):
        _, end = await go_on(engine, pieces, cut, sampling, by_ids=True)
        assert (end.reason, end.usage.completion_tokens) == ("length", rest)


async def test_answer_is_cut_where_the_context_is_full(engine: TransformersEngine) -> None:
    (model,) = engine.models
    words = "the " * 230
    pieces, end = await answer(engine, ask(text=words, sampling=Sampling(max_tokens=10_000)))
    assert end.reason == "length"
    assert end.usage.prompt_tokens + end.usage.completion_tokens == model.context_tokens
    text, again = await go_on_full(engine, words, pieces)
    assert (text, again.reason) == ("", "length")


async def go_on_full(
    engine: TransformersEngine, words: str, pieces: list[Piece]
) -> tuple[str, Finished]:
    job = ask(text=words, prefix=joined(pieces), prefix_token_ids=all_ids(pieces), attempt=2)
    rest, end = await answer(engine, job)
    return joined(rest), end


@pytest.mark.parametrize("prefix", ["", "the " * 300])
async def test_too_long_a_conversation_is_refused_for_good(
    engine: TransformersEngine, prefix: str
) -> None:
    text = "hi" if prefix else "the " * 300
    with pytest.raises(GenerationError) as caught:
        await answer(engine, ask(text=text, prefix=prefix))
    assert (caught.value.code, caught.value.retryable) == ("context_overflow", False)


async def test_oldest_messages_are_dropped_where_the_job_allows_it(
    engine: TransformersEngine,
) -> None:
    turns = [Message("system", "be brief"), Message("user", "the " * 300)]
    turns += [Message("assistant", "ok"), Message("user", "hi")]
    job = Job("j1", 1, NAME, turns, sampling=Sampling(max_tokens=LENGTH))
    with pytest.raises(GenerationError, match="tokens, but the model takes"):
        await answer(engine, job)
    pieces, end = await answer(engine, msgspec.structs.replace(job, overflow="drop_oldest"))
    assert end.usage.dropped_messages == 2
    rest = msgspec.structs.replace(job, messages=[turns[0], turns[-1]], job="j2")
    alone, whole = await answer(engine, rest)
    assert joined(pieces) == joined(alone)
    assert whole.usage.dropped_messages is None


async def test_question_that_is_too_long_by_itself_is_refused_all_the_same(
    engine: TransformersEngine,
) -> None:
    job = msgspec.structs.replace(ask(text="the " * 300), overflow="drop_oldest")
    with pytest.raises(GenerationError, match="tokens, but the model takes"):
        await answer(engine, job)


@pytest.mark.parametrize("fields", [{"model": "phi-2"}, {"revision": "another"}])
async def test_another_model_or_revision_is_unsupported(
    engine: TransformersEngine, fields: dict[str, str]
) -> None:
    with pytest.raises(GenerationError) as caught:
        await answer(engine, ask(**fields))
    assert caught.value.code == "unsupported"


async def test_foreign_ids_are_not_trusted(engine: TransformersEngine) -> None:
    pieces, _ = await answer(engine, ask())
    job = ask(prefix=joined(pieces[:5]), prefix_token_ids=[10**9], attempt=2)
    rest, _ = await answer(engine, job)
    assert joined(pieces[:5]) + joined(rest) == joined(pieces)


async def test_cancelled_answer_ends_between_two_tokens(engine: TransformersEngine) -> None:
    stream = engine.generate(ask(sampling=Sampling(max_tokens=120)))
    first = await anext(stream)
    assert isinstance(first, Piece)
    engine.cancel("j1", 1)
    *_, end = [item async for item in stream]
    assert isinstance(end, Finished)
    assert end.reason == "cancelled"


async def test_answer_cancelled_before_it_began_has_no_text(engine: TransformersEngine) -> None:
    stream = engine.generate(ask())
    begun = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    engine.cancel("j1", 1)
    end = await begun
    assert isinstance(end, Finished)
    assert end.reason == "cancelled"


async def test_reader_that_walks_away_frees_the_engine(engine: TransformersEngine) -> None:
    stream = engine.generate(ask(sampling=Sampling(max_tokens=120)))
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    assert not engine._tickets
    pieces, _ = await answer(engine, ask("j2"))
    assert len(pieces) == LENGTH


async def test_one_broken_answer_leaves_its_siblings_alone(
    engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, _ = await answer(engine, ask())
    step = BatchRunner.step

    def poisoned_step(self: BatchRunner, feeds: Sequence[Feed]) -> torch.Tensor:
        if any(POISON in feed.ids for feed in feeds):
            raise RuntimeError("poisoned")
        return step(self, feeds)

    monkeypatch.setattr(BatchRunner, "step", poisoned_step)
    sibling = asyncio.create_task(answer(engine, ask("j1")))
    with pytest.raises(RuntimeError, match="poisoned"):
        await answer(engine, ask("j2", text="a poisoned @ question"))
    pieces, end = await sibling
    assert joined(pieces) == joined(alone)
    assert end.reason == "length"


async def test_one_broken_answer_leaves_its_siblings_alone_where_they_take_turns(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = LibraryRunner._forward

    def poisoned_forward(self: LibraryRunner, state: CacheState, ids: list[int]) -> torch.Tensor:
        if POISON in ids:
            raise RuntimeError("poisoned")
        return forward(self, state, ids)

    monkeypatch.setattr(
        transformers, "make_runner", lambda m, device, **_: LibraryRunner(m, device)
    )
    monkeypatch.setattr(LibraryRunner, "_forward", poisoned_forward)
    engine = TransformersEngine(str(model_folder), model_name=NAME)
    await engine.prepare()
    alone, _ = await answer(engine, ask())
    stream = engine.generate(ask("j1"))
    first = await anext(stream)
    assert isinstance(first, Piece)
    with pytest.raises(RuntimeError, match="poisoned"):
        await answer(engine, ask("j2", text="a poisoned @ question"))
    rest = [item.text async for item in stream if isinstance(item, Piece)]
    assert first.text + "".join(rest) == joined(alone)
    await engine.close()


async def test_announcement_says_what_the_model_can(
    engine: TransformersEngine, model_folder: Path
) -> None:
    (model,) = engine.models
    assert (model.name, model.context_tokens) == (NAME, 256)
    assert set(model.capabilities) == {"chat", "continue"}
    assert model.fingerprint
    assert model.fingerprint.startswith(f"sha256-{model.revision}")
    assert engine.hardware["device"]
    twin = TransformersEngine(str(model_folder), model_name=NAME, revision="mine")
    await twin.prepare()
    assert twin.models[0].fingerprint == model.fingerprint
    assert twin.models[0].revision == "mine"
    await twin.close()


@pytest.mark.parametrize("kind", ["8bit", "4bit"])
async def test_weights_in_fewer_bits_run_in_batches_under_another_fingerprint(kind: str) -> None:
    small = TransformersEngine(str(TINY), model_name=NAME, quantize=kind)
    await small.prepare()
    sampling = Sampling(max_tokens=LENGTH, temperature=0)
    jobs = [ask(f"j{number}", "What is MotherFluxer?", sampling=sampling) for number in range(3)]
    told = await asyncio.gather(*(answer(small, job) for job in jobs))
    first = joined(told[0][0])
    assert first
    assert [joined(pieces) for pieces, _ in told] == [first] * 3
    fingerprint = small.models[0].fingerprint
    assert fingerprint == f"{digest_folder(TINY)}-{kind}"
    await small.close()


async def test_closing_ends_the_thread(model_folder: Path) -> None:
    before = threading.active_count()
    engine = TransformersEngine(str(model_folder), model_name=NAME)
    await engine.prepare()
    await engine.close()
    assert not any(thread.name == "engine" for thread in threading.enumerate())
    assert threading.active_count() <= before + 2


@pytest.mark.parametrize("content", ["no model at all", None])
async def test_folder_without_a_model_is_an_error_in_words(
    tmp_path: Path, content: str | None
) -> None:
    if content:
        (tmp_path / "config.json").write_text(content)
    engine = TransformersEngine(str(tmp_path), model_name=NAME)
    with pytest.raises(EngineLoadError, match="cannot load"):
        await engine.prepare()
    await engine.close()


async def test_missing_folder_is_named() -> None:
    engine = TransformersEngine("/no/such/folder", model_name=NAME)
    with pytest.raises(EngineLoadError, match="no folder '/no/such/folder'"):
        await engine.prepare()
    await engine.close()
