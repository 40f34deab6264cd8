"""The engine without a model: known answers, at every cut the same."""

import asyncio

import pytest

from motherfluxer_model.core.answer import Finished, Piece
from motherfluxer_model.engines.echo import EchoEngine, split_words
from motherfluxer_model.errors import GenerationError
from motherfluxer_model.testing.router import make_job
from motherfluxer_wire.frames import Job, Sampling

TEXT = "one  two\nthree four, five "


async def answer(job: Job, engine: EchoEngine | None = None) -> tuple[str, Finished]:
    said = [item async for item in (engine or EchoEngine()).generate(job)]
    *pieces, end = said
    assert isinstance(end, Finished)
    texts = [piece for piece in pieces if isinstance(piece, Piece)]
    assert end.usage.completion_tokens == sum(piece.tokens for piece in texts)
    return "".join(piece.text for piece in texts), end


async def test_last_user_message_is_said_again() -> None:
    text, end = await answer(make_job(text=TEXT))
    assert text == TEXT
    assert end.reason == "stop"
    assert end.usage.prompt_tokens == len(split_words(TEXT))


@pytest.mark.parametrize("cut", range(len(TEXT) + 1))
async def test_answer_goes_on_after_every_prefix(cut: int) -> None:
    text, _ = await answer(make_job(text=TEXT, attempt=2, prefix=TEXT[:cut]))
    assert text == TEXT[cut:]


async def test_prefix_of_another_answer_is_gone_on_with_word_for_word() -> None:
    text, _ = await answer(make_job(text="a b c d", prefix="x y"))
    assert text == " c d"


@pytest.mark.parametrize(("limit", "reason"), [(2, "length"), (3, "stop"), (4, "stop")])
async def test_max_tokens_counts_the_prefix(limit: int, reason: str) -> None:
    job = make_job(text="a b c", prefix="a", sampling=Sampling(max_tokens=limit))
    text, end = await answer(job)
    assert (text, end.reason) == (" b c"[: 2 * (limit - 1)], reason)


async def test_stop_sequence_ends_the_answer_unseen() -> None:
    job = make_job(text="a b c d", sampling=Sampling(stop=["b c"], max_tokens=3))
    assert (await answer(job))[0] == "a "
    straddling = make_job(text="a b c d", prefix="a b", sampling=Sampling(stop=["b c"]))
    text, end = await answer(straddling)
    assert (text, end.reason) == ("", "stop")


async def test_cancelled_answer_says_so() -> None:
    engine = EchoEngine(delay_s=60)
    task = asyncio.create_task(answer(make_job(text=TEXT), engine))
    await asyncio.sleep(0)
    engine.cancel("j1", 1)
    engine.cancel("unknown", 1)
    text, end = await task
    assert (text, end.reason) == ("", "cancelled")


async def test_closing_cancels_everything() -> None:
    engine = EchoEngine(delay_s=60)
    task = asyncio.create_task(answer(make_job(text=TEXT), engine))
    await asyncio.sleep(0)
    await engine.close()
    assert (await task)[1].reason == "cancelled"


async def test_nothing_said_gets_an_answer_all_the_same() -> None:
    assert (await answer(make_job(text="  ")))[0] == "(nothing was said)"


async def test_too_long_a_conversation_is_refused() -> None:
    with pytest.raises(GenerationError) as caught:
        await answer(make_job(text="word " * 9000))
    assert caught.value.code == "context_overflow"


async def test_another_model_is_not_here() -> None:
    with pytest.raises(GenerationError) as caught:
        await answer(make_job(model="phi-2"))
    assert caught.value.code == "unsupported"


async def test_announcement_names_the_model_and_says_that_it_can_continue() -> None:
    engine = EchoEngine("parrot")
    await engine.prepare()
    (model,) = engine.models
    assert model.name == "parrot"
    assert model.can_continue
    assert engine.hardware
