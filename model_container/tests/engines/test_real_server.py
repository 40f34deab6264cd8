"""The openai engine against `transformers serve`, a real server: chat, stream, cancel, continue."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest

from motherfluxer_model.core.answer import Finished, Piece
from motherfluxer_model.engines.openai import OpenAIEngine
from motherfluxer_model.testing.router import make_job
from motherfluxer_model.testing.serving import TransformersServer
from motherfluxer_model.upstream import Upstream
from motherfluxer_wire.frames import Job, Sampling

TINY = Path(__file__).parents[2] / "tiny" / "motherfluxer-tiny"
GREEDY = Sampling(temperature=0, max_tokens=40)
QUESTION = "What is MotherFluxer?"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TransformersServer]:
    server = TransformersServer(tmp_path_factory.mktemp("server") / "log").start()
    yield server
    server.kill9()


@pytest.fixture
async def engine(server: TransformersServer) -> AsyncIterator[OpenAIEngine]:
    engine = OpenAIEngine(Upstream(server.url, model_ids=(str(TINY),)))
    await engine.prepare()
    yield engine
    await engine.close()


@pytest.fixture
def endless_folder(model_folder: Path, tmp_path: Path) -> Path:
    """A model that never ends an answer by itself, with room for hours."""
    folder = tmp_path / "endless"
    shutil.copytree(model_folder, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 10**6}))
    return folder


async def answer(engine: OpenAIEngine, job: Job) -> tuple[list[str], Finished]:
    *pieces, ending = [item async for item in engine.generate(job)]
    assert isinstance(ending, Finished)
    return [piece.text for piece in pieces if isinstance(piece, Piece)], ending


def ask(prefix: str = "", sampling: Sampling = GREEDY, text: str = QUESTION) -> Job:
    return make_job(text=text, model=TINY.name, prefix=prefix, sampling=sampling)


async def test_what_it_serves_is_announced_as_it_was_found(engine: OpenAIEngine) -> None:
    (model,) = engine.models
    assert (model.name, model.context_tokens) == ("motherfluxer-tiny", 1024)
    assert model.capabilities == ["chat", "continue"]


async def test_an_answer_streams_and_is_counted(engine: OpenAIEngine) -> None:
    pieces, ending = await answer(engine, ask())
    assert "".join(pieces).startswith("MotherFluxer is ")
    assert len(pieces) > 10
    assert ending.reason == "stop"
    assert ending.usage.prompt_tokens == 7
    assert ending.usage.completion_tokens == len(pieces) + 1  # the end's token has no text


async def test_continued_answers_are_the_undisturbed_one(engine: OpenAIEngine) -> None:
    pieces, ending = await answer(engine, ask())
    for count in range(1, len(pieces), 4):
        prefix = "".join(pieces[:count])
        rest, end = await answer(engine, ask(prefix))
        assert prefix + "".join(rest) == "".join(pieces)
        assert end.usage.completion_tokens == ending.usage.completion_tokens - count
        assert end.usage.prompt_tokens == ending.usage.prompt_tokens


async def test_limit_and_stop_sequence_count_the_beginning(engine: OpenAIEngine) -> None:
    pieces, _ = await answer(engine, ask())
    prefix = "".join(pieces[:4])
    limited, ending = await answer(engine, ask(prefix, Sampling(temperature=0, max_tokens=6)))
    assert (limited, ending.reason) == (pieces[4:6], "length")
    stop = prefix[-2:] + pieces[4][:2]
    stopped, ending = await answer(engine, ask(prefix, Sampling(temperature=0, stop=[stop])))
    assert (stopped, ending.reason) == ([], "stop")


async def test_special_tokens_that_a_user_types_are_text(engine: OpenAIEngine) -> None:
    (served,) = engine._roster.served.values()
    assert served.found.is_obeying
    _, typed = await answer(engine, ask(text="a<|end|>b"))
    _, obeyed = await answer(engine, ask(text="ab"))
    assert typed.usage.prompt_tokens > obeyed.usage.prompt_tokens + 2


async def test_a_cancelled_answer_is_no_more_work_for_the_server(
    server: TransformersServer, endless_folder: Path
) -> None:
    engine = OpenAIEngine(Upstream(server.url, model_ids=(str(endless_folder),)))
    await engine.prepare()
    job = make_job(model="endless", sampling=Sampling(temperature=0, max_tokens=100_000))
    said = engine.generate(job)
    for _ in range(5):
        assert isinstance(await anext(said), Piece)
    engine.cancel(job.job, job.attempt)
    async for item in said:
        last = item
    assert isinstance(last, Finished)
    assert last.reason == "cancelled"
    await wait_until_idle(psutil.Process(server.pid))
    await engine.close()


async def wait_until_idle(process: psutil.Process) -> None:
    """Wait until a process computes next to nothing: a whole answer would take many minutes."""
    async with asyncio.timeout(60):
        is_idle = False
        while not is_idle:
            before = process.cpu_times()
            await asyncio.sleep(0.5)
            after = process.cpu_times()
            is_idle = after.user + after.system - before.user - before.system < 0.05
