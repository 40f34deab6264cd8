"""The meter asks, counts and stops; what it measures is the engine's."""

import pytest

from motherfluxer_model.core.speed import Sample
from motherfluxer_model.engines.echo import EchoEngine
from motherfluxer_model.errors import GenerationError, NoAnswerError
from motherfluxer_model.meter import Meter
from motherfluxer_model.testing.engine import FedEngine


async def test_as_many_jobs_run_as_are_wanted_and_all_are_stopped() -> None:
    engine = FedEngine()
    for number in range(1, 4):
        engine.say(f"measure-{number}", "word")
    level = await Meter(engine).measure(3, 0.0)
    assert (level.concurrency, level.tokens, level.answers, level.failures) == (3, 3, 0, 0)
    assert level.first_token_s is not None
    assert sorted(engine.cancelled) == sorted(engine.started)


async def test_readers_go_on_with_the_next_question() -> None:
    engine = FedEngine()
    for number in range(1, 4):
        engine.say(f"measure-{number}", "word")
        engine.finish(f"measure-{number}")
    engine.fail("measure-4", GenerationError("overloaded", "enough"))
    level = await Meter(engine).measure(1, 60.0)
    assert (level.answers, level.failures) == (3, 1)


async def test_engine_that_answers_nothing_is_named() -> None:
    engine = FedEngine()
    engine.fail("measure-1", GenerationError("engine_error", "it is broken"))
    with pytest.raises(NoAnswerError, match="it is broken"):
        await Meter(engine).measure(1, 60.0)


async def test_one_answer_is_asked_for_and_no_longer_than_wanted() -> None:
    sample = Sample(0.0)
    await Meter(EchoEngine()).ask(sample, max_tokens=3)
    assert (sample.tokens, sample.is_whole, sample.failure) == (3, True, None)
