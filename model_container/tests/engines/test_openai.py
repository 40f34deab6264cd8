"""The engine that forwards to an OpenAI-compatible server, also a hostile one."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import pytest

from motherfluxer_model.core.answer import Finished, Piece
from motherfluxer_model.core.manner import OPTIONAL_FIELDS
from motherfluxer_model.engines.openai import OpenAIEngine
from motherfluxer_model.errors import GenerationError
from motherfluxer_model.testing.parrot import MARK, Habits, Refusal
from motherfluxer_model.testing.router import make_job
from motherfluxer_model.testing.upstream import CUT, FakeUpstream, Part
from motherfluxer_model.upstream import Upstream
from motherfluxer_wire.frames import Job, Message, Sampling

TEXT = "one two  three\nfour, five \n six"


def delta(text: str) -> str:
    return json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]})


END = json.dumps({"choices": [{"delta": {}, "finish_reason": "stop"}]})


class Rig:
    """A prepared engine before a fake server."""

    def __init__(self, upstream: FakeUpstream, engine: OpenAIEngine) -> None:
        self.upstream = upstream
        self.engine = engine
        self.changed = asyncio.Event()
        engine.watch(self.changed.set)

    def job(self, job: str = "j1", text: str = TEXT, **fields: object) -> Job:
        return make_job(job, text, **{"model": "parrot", **fields})

    async def answer(self, job: Job) -> tuple[str, Finished]:
        pieces, ending = await collect(self.engine.generate(job))
        return "".join(piece.text for piece in pieces), ending

    async def play(self, *script: Part) -> tuple[str, Finished]:
        self.upstream.scripts.append(script)
        return await self.answer(self.job(text="script"))

    async def fail(self, *script: Part) -> GenerationError:
        with pytest.raises(GenerationError) as caught:
            await self.play(*script)
        return caught.value

    async def wait_for(self, is_true: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not is_true():
                self.changed.clear()
                await self.changed.wait()


async def collect(said: AsyncIterator[Piece | Finished]) -> tuple[list[Piece], Finished]:
    *pieces, ending = [item async for item in said]
    assert isinstance(ending, Finished)
    return [piece for piece in pieces if isinstance(piece, Piece)], ending


@pytest.fixture
def habits() -> Habits:
    return Habits(continues_by="flag")


@pytest.fixture
async def rig(habits: Habits) -> AsyncIterator[Rig]:
    async with FakeUpstream(habits) as upstream:
        upstream.models[0]["max_model_len"] = habits.context_tokens
        engine = OpenAIEngine(Upstream(upstream.url))
        rig = Rig(upstream, engine)
        await engine.prepare()
        upstream.requests.clear()
        yield rig
        await engine.close()


async def test_an_answer_comes_piece_by_piece(rig: Rig) -> None:
    pieces, ending = await collect(rig.engine.generate(rig.job()))
    assert "".join(piece.text for piece in pieces) == TEXT
    assert [piece.tokens for piece in pieces] == [1] * 6
    assert all(piece.token_ids is None for piece in pieces)
    assert ending.reason == "stop"
    assert (ending.usage.prompt_tokens, ending.usage.completion_tokens) == (8, 6)
    assert len(rig.upstream.requests) == 1


@pytest.mark.parametrize("cut", range(1, len(TEXT)))
async def test_an_answer_goes_on_after_every_beginning(rig: Rig, cut: int) -> None:
    text, ending = await rig.answer(rig.job(prefix=TEXT[:cut]))
    assert TEXT[:cut] + text == TEXT
    assert ending.usage.prompt_tokens == 8


@pytest.mark.parametrize("cut", range(1, len(TEXT)))
@pytest.mark.parametrize("habits", [Habits(continues_by="flag", is_trimming=True, is_echoing=True)])
async def test_also_where_the_server_loses_blanks_and_says_it_again(rig: Rig, cut: int) -> None:
    text, _ = await rig.answer(rig.job(prefix=TEXT[:cut]))
    assert TEXT[:cut] + text == TEXT


@pytest.mark.parametrize(
    ("prefix", "limit", "rest", "reason"),
    [
        ("", 2, "one two", "length"),
        ("one", 3, " two  three", "length"),
        ("one two", 2, "", "length"),
        ("one two", 99, "  three\nfour, five \n six", "stop"),
    ],
)
async def test_limit_counts_the_beginning(
    rig: Rig, prefix: str, limit: int, rest: str, reason: str
) -> None:
    job = rig.job(prefix=prefix, sampling=Sampling(max_tokens=limit))
    text, ending = await rig.answer(job)
    assert (text, ending.reason) == (rest, reason)


@pytest.mark.parametrize(
    ("prefix", "stop", "rest"),
    [("", "three", "one two  "), ("one two  th", "three", ""), ("one", "wo  thr", " t")],
)
async def test_a_stop_sequence_is_never_shown(rig: Rig, prefix: str, stop: str, rest: str) -> None:
    text, ending = await rig.answer(rig.job(prefix=prefix, sampling=Sampling(stop=[stop])))
    assert (text, ending.reason) == (rest, "stop")


@pytest.mark.parametrize("habits", [Habits(refused_fields=frozenset({"seed", "stop"}))])
async def test_what_the_server_refuses_is_not_sent(rig: Rig) -> None:
    sampling = Sampling(seed=1, stop=["five"], temperature=0.5, top_p=0.5)
    text, _ = await rig.answer(rig.job(sampling=sampling))
    assert text == "one two  three\nfour, "
    assert set(rig.upstream.requests[0][1]) & set(OPTIONAL_FIELDS) == {
        "temperature",
        "top_p",
        "stream_options",
    }


@pytest.mark.parametrize("habits", [Habits(is_counting=False, has_end_mark=False)])
async def test_a_server_that_counts_nothing_is_counted_here(rig: Rig) -> None:
    _, ending = await rig.answer(rig.job())
    assert ending.usage.completion_tokens == 6
    assert ending.usage.prompt_tokens == len(TEXT) // 4


async def test_marks_that_a_user_typed_are_broken_up(rig: Rig) -> None:
    messages = [Message(role="user", content=f"a{MARK}b")]
    await rig.answer(rig.job(messages=messages))
    sent = rig.upstream.requests[0][1]["messages"][0]["content"]
    assert MARK not in sent
    assert sent.replace("\u2060", "") == f"a{MARK}b"


async def test_cancelling_closes_the_connection(rig: Rig) -> None:
    rig.upstream.scripts.append([delta("one"), asyncio.Event()])
    said = rig.engine.generate(rig.job(text="script"))
    assert await anext(said) == Piece("one", 1)
    rig.engine.cancel("j1", 1)
    rig.engine.cancel("unknown", 1)
    ending = await anext(said)
    assert isinstance(ending, Finished)
    assert (ending.reason, ending.usage.completion_tokens) == ("cancelled", 1)
    await rig.upstream.wait_for(lambda: rig.upstream.hang_ups_count == 1)


async def test_a_job_nobody_waits_for_is_closed_too(rig: Rig) -> None:
    rig.upstream.scripts.append([delta("one"), asyncio.Event()])
    task = asyncio.create_task(rig.answer(rig.job(text="script")))
    await rig.upstream.wait_for(lambda: rig.upstream.requests)
    task.cancel()
    await asyncio.wait({task})
    await rig.upstream.wait_for(lambda: rig.upstream.hang_ups_count == 1)


async def test_a_reader_who_does_not_read_makes_the_server_wait(rig: Rig) -> None:
    rig.upstream.scripts.append([delta("x" * 1000)] * 40_000)
    said = rig.engine.generate(rig.job(text="script", sampling=Sampling(max_tokens=500)))
    await anext(said)
    relay = rig.engine._relays[("j1", 1)]
    async with asyncio.timeout(20):
        while not relay._items.full():  # noqa: ASYNC110  a queue tells nobody that it is full
            await asyncio.sleep(0)
    rig.engine.cancel("j1", 1)
    await rig.upstream.wait_for(lambda: rig.upstream.hang_ups_count == 1)


@pytest.mark.parametrize(
    "script",
    [
        [delta("one"), CUT],
        [delta("one"), b""],
        [delta("one"), '{"error": {"message": "boom"}}'],
        [delta("one"), b"event: error\ndata: boom\n\n"],
        [delta("one"), b'error: {"code": 500}\n\n'],
        [delta("one"), "{garbage"],
        [b"\x00\xff" * 1000],
        [b"<html>not a stream</html>"],
        [b"data: " + b"x" * 2_000_000],
        [CUT],
        [],
    ],
    ids=str,
)
async def test_an_answer_that_breaks_off_may_be_tried_elsewhere(
    rig: Rig, script: list[Part]
) -> None:
    error = await rig.fail(*script)
    assert (error.code, error.retryable) == ("engine_error", True)
    assert len(rig.upstream.requests) == 1
    await rig.wait_for(lambda: bool(rig.engine.models))
    assert (await rig.answer(rig.job()))[0] == TEXT


@pytest.mark.parametrize(
    ("refusal", "code", "retryable"),
    [
        (Refusal(400, "messages must alternate"), "bad_request", False),
        (Refusal(400, "prompt is too long: exceeds the context"), "context_overflow", False),
        (Refusal(404, "model not found"), "unsupported", False),
        (Refusal(429, "slow down"), "overloaded", True),
        (Refusal(503, "loading"), "overloaded", True),
        (Refusal(500, "CUDA error"), "engine_error", True),
    ],
)
async def test_a_refusal_is_told_in_our_words(
    rig: Rig, refusal: Refusal, code: str, retryable: bool
) -> None:
    error = await rig.fail(refusal)
    assert (error.code, error.retryable) == (code, retryable)
    assert refusal.message in error.message


@pytest.mark.parametrize("habits", [Habits(context_tokens=50)])
async def test_an_answer_gets_the_room_that_is_left(rig: Rig) -> None:
    text, ending = await rig.answer(rig.job(text="a " * 30))
    assert (text.split(), ending.reason) == (["a"] * 17, "length")
    limits = [body["max_tokens"] for _, body in rig.upstream.requests]
    assert limits == [25, 1, 17]


async def test_a_conversation_without_room_is_refused(rig: Rig) -> None:
    with pytest.raises(GenerationError) as caught:
        await rig.answer(rig.job(text="word " * 2000))
    assert caught.value.code == "context_overflow"


async def test_a_server_that_knows_no_limit_is_kept_to_it() -> None:
    async with FakeUpstream(Habits(context_tokens=10**6)) as upstream:
        engine = OpenAIEngine(Upstream(upstream.url, context_tokens=50))
        await engine.prepare()
        rig = Rig(upstream, engine)
        with pytest.raises(GenerationError) as caught:
            await rig.answer(rig.job(text="word " * 60))
        text, ending = await rig.answer(rig.job(text="word " * 40))
        await engine.close()
    assert (caught.value.code, ending.reason) == ("context_overflow", "length")
    assert len(text.split()) == 50 - 43


@pytest.mark.parametrize("last", [CUT, asyncio.Event(), "{garbage", '{"error": "late"}'])
async def test_nothing_behind_the_end_matters(
    rig: Rig, last: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("motherfluxer_model.engines.client.TAIL_S", 0.01)
    text, ending = await rig.play(delta("one"), END, last)
    assert (text, ending.reason) == ("one", "stop")


async def test_the_key_travels_in_no_refusal() -> None:
    async with FakeUpstream() as upstream:
        engine = OpenAIEngine(Upstream(upstream.url, key="sk-secret"))
        await engine.prepare()
        rig = Rig(upstream, engine)
        error = await rig.fail(Refusal(401, "Incorrect API key provided: sk-secret."))
        await engine.close()
    assert "Incorrect" in error.message
    assert "sk-secret" not in error.message


async def test_half_characters_come_whole(rig: Rig) -> None:
    raw = 'data: {"choices": [{"delta": {"content": "日本 😀"}}]}\n\n'.encode()
    halves = [raw[:45], raw[45:46], raw[46:]]
    text, _ = await rig.play(*halves, delta("\ud83d"), delta("\ude00"), END)
    assert text == "日本 😀😀"


async def test_line_ends_and_comments_of_any_kind_are_taken(rig: Rig) -> None:
    data = f": hello\r\n\r\ndata: {delta('one')}\r\n\r\ndata:{delta(' two')}\r\rdata: {END}"
    assert (await rig.play(data.encode()))[0] == "one two"


async def test_another_model_or_revision_is_not_here(rig: Rig) -> None:
    for fields in ({"model": "phi-2"}, {"revision": "other"}):
        with pytest.raises(GenerationError) as caught:
            await rig.answer(rig.job(**fields))
        assert caught.value.code == "unsupported"
    revision = rig.engine.models[0].revision
    assert (await rig.answer(rig.job(revision=revision)))[0] == TEXT


@pytest.mark.parametrize("habits", [Habits()])
async def test_a_beginning_is_refused_where_continuing_did_not_work(rig: Rig) -> None:
    with pytest.raises(GenerationError) as caught:
        await rig.answer(rig.job(prefix="one"))
    assert caught.value.code == "unsupported"


async def test_a_server_that_dies_is_told_before_its_answers_fail(rig: Rig) -> None:
    rig.upstream.scripts.append([delta("one"), asyncio.Event()])
    said = rig.engine.generate(rig.job(text="script"))
    await anext(said)
    await rig.upstream.stop()
    with pytest.raises(GenerationError) as caught:
        await anext(said)
    assert caught.value.retryable
    assert rig.engine.models == []
    assert rig.changed.is_set()
    assert rig.engine.status["upstream_state"] == "down"
    with pytest.raises(GenerationError) as caught:
        await rig.answer(rig.job())
    assert (caught.value.code, caught.value.retryable) == ("overloaded", True)
    await rig.upstream.start()
    await rig.wait_for(lambda: bool(rig.engine.models))
    assert (await rig.answer(rig.job()))[0] == TEXT


async def test_a_server_that_broke_off_and_lives_is_a_short_pause(rig: Rig) -> None:
    await rig.fail(delta("one"), CUT)
    assert rig.engine.models == []
    await rig.wait_for(lambda: bool(rig.engine.models))
    assert len(rig.upstream.requests) == 1  # it is not asked all over again
    assert (await rig.answer(rig.job()))[0] == TEXT


async def test_a_server_that_is_back_with_other_models_is_asked_anew(rig: Rig) -> None:
    rig.upstream.models_refusal = Refusal(503, "loading")
    await rig.fail(delta("one"), CUT)
    assert rig.engine.models == []
    rig.upstream.models = [{"id": "org/parrot", "max_model_len": 500}]
    rig.upstream.models_refusal = None
    await rig.wait_for(lambda: bool(rig.engine.models))
    assert rig.engine.models[0].context_tokens == 500
    assert len(rig.upstream.requests) > 2


async def test_an_error_that_the_server_tells_is_no_pause(rig: Rig) -> None:
    await rig.fail(delta("one"), '{"error": {"message": "boom"}}')
    assert len(rig.engine.models) == 1


async def test_a_list_that_fails_changes_nothing(rig: Rig) -> None:
    rig.upstream.models_refusal = Refusal(500, "offline")
    await rig.engine._roster._look()
    assert [model.name for model in rig.engine.models] == ["parrot"]
    assert rig.upstream.requests == []


async def test_a_server_that_streams_is_busy_and_not_dead(rig: Rig) -> None:
    await rig.answer(rig.job())
    rig.upstream.models_refusal = Refusal(503, "busy")
    for _ in range(5):
        await rig.engine._roster._look()
    assert len(rig.engine.models) == 1


async def test_a_key_that_is_refused_later_is_a_pause(rig: Rig) -> None:
    rig.upstream.key = "another"
    await rig.engine._roster._look()
    assert rig.engine.models == []
    rig.upstream.key = ""
    await rig.engine._roster._look()
    assert [model.name for model in rig.engine.models] == ["parrot"]


async def test_a_late_list_is_no_death_and_a_third_one_is(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("motherfluxer_model.engines.client.LATELY_S", 0.0)
    rig.upstream.models_refusal = Refusal(503, "busy")
    for expected in (1, 1, 0):
        await rig.engine._roster._look()
        assert len(rig.engine.models) == expected


async def test_models_come_and_go_with_the_servers_list(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("motherfluxer_model.engines.roster.POLL_S", 0.01)
    await rig.engine._roster.doubt()
    rig.upstream.models = [*rig.upstream.models, {"id": "org/other", "max_model_len": 500}]
    await rig.wait_for(lambda: len(rig.engine.models) == 2)
    assert [model.name for model in rig.engine.models] == ["parrot", "other"]
    assert (await rig.answer(rig.job(model="other")))[0] == TEXT
    assert rig.upstream.requests[-1][1]["model"] == "org/other"
    rig.upstream.models = rig.upstream.models[1:]
    await rig.wait_for(lambda: len(rig.engine.models) == 1)
    assert rig.engine.models[0].name == "other"


async def test_preparing_waits_for_a_server_that_is_not_up() -> None:
    upstream = FakeUpstream()
    await upstream.start()
    await upstream.stop()
    engine = OpenAIEngine(Upstream(upstream.url))
    preparing = asyncio.create_task(engine.prepare())
    await asyncio.sleep(0.05)
    assert not preparing.done()
    await upstream.start()
    async with asyncio.timeout(20):
        await preparing
    assert [model.name for model in engine.models] == ["parrot"]
    await engine.close()
    await upstream.stop()
