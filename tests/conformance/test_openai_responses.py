"""The official OpenAI client's `responses`, against a live site with the tiny model."""

import asyncio
from typing import Any

import openai
import pytest

from tests.conformance.test_foreign_instance import foreign
from tests.sites import Site

MODEL = "motherfluxer-tiny"
QUESTION = "What is MotherFluxer?"


@pytest.fixture(scope="module")
def client(shared_site: Site, tiny_key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{shared_site.url}/v1", api_key=tiny_key, max_retries=0)


@pytest.fixture(scope="module")
def whole(client: openai.OpenAI) -> Any:
    return client.responses.create(model=MODEL, input=QUESTION, temperature=0)


def test_a_response_is_the_answer_of_a_chat_completion(client: openai.OpenAI, whole: Any) -> None:
    asked: Any = [{"role": "user", "content": QUESTION}]
    chat = client.chat.completions.create(model=MODEL, messages=asked, temperature=0)
    assert whole.output_text == chat.choices[0].message.content
    assert "MotherFluxer" in whole.output_text
    assert (whole.status, whole.error, whole.incomplete_details) == ("completed", None, None)
    assert (whole.model, whole.temperature) == (MODEL, 0)
    assert whole.usage.output_tokens > 0
    assert whole.usage.total_tokens == whole.usage.input_tokens + whole.usage.output_tokens


def test_streamed_pieces_joined_are_the_whole_response(client: openai.OpenAI, whole: Any) -> None:
    events = list(client.responses.create(model=MODEL, input=QUESTION, temperature=0, stream=True))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == whole.output_text
    assert [event.sequence_number for event in events] == list(range(len(events)))
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == whole.output_text


def test_the_stream_helper_keeps_its_snapshot(client: openai.OpenAI, whole: Any) -> None:
    with client.responses.stream(model=MODEL, input=QUESTION, temperature=0) as stream:
        deltas = [event for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert deltas[-1].snapshot == final.output_text == whole.output_text


async def test_async_client_streams(client: openai.OpenAI, whole: Any) -> None:
    async with openai.AsyncOpenAI(base_url=client.base_url, api_key=client.api_key) as aclient:
        async with aclient.responses.stream(model=MODEL, input=QUESTION, temperature=0) as stream:
            final = await stream.get_final_response()
        again = await aclient.responses.create(model=MODEL, input=QUESTION, temperature=0)
    assert final.output_text == again.output_text == whole.output_text


def test_an_answer_may_be_sent_back_with_the_next_question(
    client: openai.OpenAI, whole: Any
) -> None:
    turns: Any = [{"role": "user", "content": QUESTION}, *whole.output]
    turns.append({"role": "user", "content": [{"type": "input_text", "text": "Who runs it?"}]})
    second = client.responses.create(
        model=MODEL, instructions="Be brief.", input=turns, store=False, metadata={"a": "b"}
    )
    assert second.output_text
    assert (second.metadata, second.instructions) == ({"a": "b"}, "Be brief.")


def test_a_cut_response_is_incomplete(client: openai.OpenAI) -> None:
    cut = client.responses.create(model=MODEL, input=QUESTION, max_output_tokens=5)
    assert (cut.status, cut.max_output_tokens) == ("incomplete", 5)
    assert cut.incomplete_details is not None
    assert cut.incomplete_details.reason == "max_output_tokens"
    assert cut.usage is not None
    assert cut.usage.output_tokens == 5
    *_, last = client.responses.create(
        model=MODEL, input=QUESTION, max_output_tokens=5, stream=True
    )
    assert last.type == "response.incomplete"


def test_headers_say_who_answered(client: openai.OpenAI) -> None:
    raw = client.responses.with_raw_response.create(model=MODEL, input=QUESTION)
    assert raw.headers["x-motherfluxer-instance"] == "sdk"
    assert raw.headers["x-request-id"] == raw.parse()._request_id
    assert int(raw.headers["x-ratelimit-remaining-requests"]) > 0


def test_errors_become_the_clients_exceptions(client: openai.OpenAI, shared_site: Site) -> None:
    create = client.responses.create
    with pytest.raises(openai.NotFoundError) as unknown:
        create(model="no-such-model", input=QUESTION)
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as stored:
        create(model=MODEL, input=QUESTION, store=True)
    assert (stored.value.code, stored.value.param) == ("unsupported_parameter", "store")
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve("resp_1")
    stranger = openai.OpenAI(base_url=client.base_url, api_key="mf_no", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        stranger.responses.create(model=MODEL, input=QUESTION)


async def test_error_in_a_stream_raises_the_clients_error(shared_site: Site) -> None:
    key = await asyncio.to_thread(shared_site.api_key, "breaks-response@example.org")
    credential = await asyncio.to_thread(shared_site.issue_credential, "breaks-response")
    sdk = openai.AsyncOpenAI(base_url=f"{shared_site.url}/v1", api_key=key, max_retries=0)
    async with foreign(shared_site, credential, "breaks-response") as instance, sdk as client:
        await instance.hear("welcome")
        create = client.responses.create
        asked = asyncio.create_task(create(model="foreign-1", input=QUESTION, stream=True))
        job = await instance.hear("job")
        await instance.chunk(job, 0, "Hel")
        events = aiter(await asked)
        while (await anext(events)).type != "response.output_text.delta":
            pass
        failed = {"code": "bad_request", "message": "lab says no", "retryable": False}
        await instance.say(type="failed", job=job["job"], attempt=job["attempt"], seq=1, **failed)
        broken = await anext(events)
        assert broken.type == "response.failed"
        assert broken.response.error is not None
        assert broken.response.error.message.endswith("lab says no")
        with pytest.raises(openai.APIError, match="lab says no") as raised:
            await anext(events)
    assert raised.value.code == "refused_by_instance"
