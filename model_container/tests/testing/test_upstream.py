"""The fake server is one: a plain HTTP client gets what tests are told that it gets."""

import asyncio
import json
from typing import Any

import httpx2
import pytest

from motherfluxer_model.testing.parrot import MARK, Habits, Refusal
from motherfluxer_model.testing.upstream import CUT, FakeUpstream


def chat(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **more}


async def ask(upstream: FakeUpstream, body: dict[str, Any], path: str = "/chat/completions") -> str:
    async with httpx2.AsyncClient() as client:
        response = await client.post(upstream.url + path, json=body)
    response.raise_for_status()
    return response.text


def read(stream: str) -> tuple[str, list[dict[str, Any]], bool]:
    data = [line[6:] for line in stream.split("\n\n") if line]
    events = [json.loads(one) for one in data if one != "[DONE]"]
    deltas = [
        event["choices"][0]["delta"].get("content", "") for event in events if event["choices"]
    ]
    return "".join(deltas), events, data[-1] == "[DONE]"


async def test_the_question_comes_back_word_by_word() -> None:
    async with FakeUpstream() as upstream:
        text, events, has_end_mark = read(await ask(upstream, chat("one  two three")))
    assert (text, has_end_mark, len(events)) == ("one  two three", True, 5)
    assert events[-1]["usage"] == {"prompt_tokens": 5, "completion_tokens": 3}
    assert events[-2]["choices"][0]["finish_reason"] == "stop"
    assert upstream.requests[0][0] == "/v1/chat/completions"


async def test_its_limit_ends_an_answer() -> None:
    async with FakeUpstream() as upstream:
        text, events, _ = read(await ask(upstream, chat("one two three", max_tokens=2)))
    assert text == "one two"
    assert events[-2]["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("habits", "flag", "text"),
    [
        (Habits(), False, "one two three"),
        (Habits(continues_by="last"), False, " two three"),
        (Habits(continues_by="flag"), False, "one two three"),
        (Habits(continues_by="flag"), True, " two three"),
        (Habits(continues_by="last", is_echoing=True), False, "one two three"),
    ],
)
async def test_a_beginning_is_gone_on_with_as_its_habits_say(
    habits: Habits, flag: bool, text: str
) -> None:
    body = chat("one two three", continue_final_message=flag)
    body["messages"].append({"role": "assistant", "content": "one"})
    async with FakeUpstream(habits) as upstream:
        assert read(await ask(upstream, body))[0] == text


async def test_plain_text_goes_on_where_it_is_taken() -> None:
    async with FakeUpstream(Habits(has_text_path=True)) as upstream:
        body = {"model": "m", "prompt": "U:one two A:one"}
        assert '"text": " two"' in await ask(upstream, body, "/completions")
    async with FakeUpstream() as upstream:
        with pytest.raises(httpx2.HTTPStatusError, match="404"):
            await ask(upstream, body, "/completions")


async def test_a_mark_that_is_obeyed_is_one_token() -> None:
    counts = []
    for is_obeying in (True, False):
        async with FakeUpstream(Habits(is_obeying_marks=is_obeying)) as upstream:
            _, events, _ = read(await ask(upstream, chat(f"a{MARK}b")))
            counts.append(events[-1]["usage"]["prompt_tokens"])
    assert counts[0] < counts[1]


async def test_models_and_refusals_are_what_is_set() -> None:
    async with FakeUpstream(Habits(refused_fields=frozenset({"seed"}))) as upstream:
        async with httpx2.AsyncClient() as client:
            listed = (await client.get(f"{upstream.url}/models")).json()
            assert [one["id"] for one in listed["data"]] == ["org/parrot"]
            upstream.models_refusal = Refusal(500, "offline")
            assert (await client.get(f"{upstream.url}/models")).status_code == 500
            refused = await client.post(f"{upstream.url}/chat/completions", json=chat("a", seed=1))
            upstream.key = "sk-1"
            assert (await client.get(f"{upstream.url}/models")).status_code == 401
        assert refused.status_code == 422


async def test_a_script_is_played_part_by_part() -> None:
    gate = asyncio.Event()
    async with FakeUpstream() as upstream:
        upstream.scripts.append(["{}", b": comment\n\n", gate, CUT])
        async with httpx2.AsyncClient() as client:
            url = f"{upstream.url}/chat/completions"
            async with client.stream("POST", url, json=chat("script")) as response:
                parts = response.aiter_text()
                seen = await anext(parts)
                while "comment" not in seen:
                    seen += await anext(parts)
                assert seen == "data: {}\n\n: comment\n\n"
                gate.set()
                with pytest.raises(httpx2.HTTPError):
                    await anext(parts)


async def test_a_reader_that_leaves_is_noticed() -> None:
    async with FakeUpstream() as upstream:
        upstream.scripts.append(["{}", asyncio.Event()])
        async with httpx2.AsyncClient() as client:
            url = f"{upstream.url}/chat/completions"
            async with client.stream("POST", url, json=chat("script")) as response:
                await anext(response.aiter_text())
        await upstream.wait_for(lambda: upstream.hang_ups_count == 1)


async def test_it_comes_back_on_the_same_port() -> None:
    async with FakeUpstream() as upstream:
        url = upstream.url
        await upstream.stop()
        with pytest.raises(httpx2.ConnectError):
            await ask(upstream, chat("a"))
        await upstream.start()
        assert upstream.url == url
        assert read(await ask(upstream, chat("a")))[0] == "a"
