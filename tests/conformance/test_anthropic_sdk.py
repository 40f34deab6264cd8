"""The official Anthropic client, unmodified, against a live site with the tiny model."""

import asyncio
import time
from typing import Any

import anthropic
import openai
import pytest
from anthropic import _base_client

from tests.conformance.test_foreign_instance import foreign
from tests.sites import Site, wait_until

MODEL = "motherfluxer-tiny"
# Any: the client's types want its own TypedDicts; users write plain dictionaries.
QUESTION: Any = [{"role": "user", "content": "What is MotherFluxer?"}]
# The client has dropped the name of this parameter, not the parameter.
GREEDY = {"temperature": 0}


@pytest.fixture(scope="module")
def client(shared_site: Site, tiny_key: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=shared_site.url, api_key=tiny_key, max_retries=0)


@pytest.fixture(scope="module")
def whole(client: anthropic.Anthropic) -> Any:
    create = client.messages.create
    return create(model=MODEL, max_tokens=200, messages=QUESTION, extra_body=GREEDY)


def test_a_message_is_the_answer_of_a_chat_completion(
    shared_site: Site, tiny_key: str, whole: Any
) -> None:
    other = openai.OpenAI(base_url=f"{shared_site.url}/v1", api_key=tiny_key)
    chat = other.chat.completions.create(model=MODEL, messages=QUESTION, temperature=0)
    assert whole.content[0].text == chat.choices[0].message.content
    assert "MotherFluxer" in whole.content[0].text
    assert (whole.type, whole.role, whole.model) == ("message", "assistant", MODEL)
    assert (whole.stop_reason, whole.stop_sequence) == ("end_turn", None)
    assert chat.usage is not None
    assert whole.usage.output_tokens == chat.usage.completion_tokens
    read = whole.usage.input_tokens + whole.usage.cache_read_input_tokens
    assert read == chat.usage.prompt_tokens


def test_streamed_pieces_joined_are_the_whole_message(
    client: anthropic.Anthropic, whole: Any
) -> None:
    stream = client.messages.create(
        model=MODEL, max_tokens=200, messages=QUESTION, stream=True, extra_body=GREEDY
    )
    events = list(stream)
    deltas = [event for event in events if event.type == "content_block_delta"]
    pieces = [event.delta.text for event in deltas if event.delta.type == "text_delta"]
    assert "".join(pieces) == whole.content[0].text
    assert [events[0].type, events[-1].type] == ["message_start", "message_stop"]


def test_the_stream_helper_builds_the_whole_message(
    client: anthropic.Anthropic, whole: Any
) -> None:
    asked = client.messages.stream(
        model=MODEL, max_tokens=200, messages=QUESTION, extra_body=GREEDY
    )
    with asked as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
        assert stream.request_id
    assert text == whole.content[0].text
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens == whole.usage.output_tokens
    read = final.usage.input_tokens + (final.usage.cache_read_input_tokens or 0)
    assert read == whole.usage.input_tokens + whole.usage.cache_read_input_tokens


async def test_async_client_streams(client: anthropic.Anthropic, whole: Any) -> None:
    async with anthropic.AsyncAnthropic(base_url=client.base_url, api_key=client.api_key) as sdk:
        asked = sdk.messages.stream(
            model=MODEL, max_tokens=200, messages=QUESTION, extra_body=GREEDY
        )
        async with asked as stream:
            text = await stream.get_final_text()
        create = sdk.messages.create
        again = await create(model=MODEL, max_tokens=200, messages=QUESTION, extra_body=GREEDY)
    assert text == whole.content[0].text
    assert again.content == whole.content


def test_an_answer_goes_on_from_its_beginning(client: anthropic.Anthropic, whole: Any) -> None:
    text = whole.content[0].text
    cut = text.index(" ", len(text) // 2)
    beginning: Any = {"role": "assistant", "content": text[:cut]}
    rest = client.messages.create(
        model=MODEL, max_tokens=200, messages=[*QUESTION, beginning], extra_body=GREEDY
    )
    assert rest.content[0].type == "text"
    assert text[:cut] + rest.content[0].text == text


def test_a_message_may_be_sent_back_with_the_next_question(
    client: anthropic.Anthropic, whole: Any
) -> None:
    second = client.messages.create(
        model=MODEL,
        max_tokens=50,
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        messages=[*QUESTION, whole.to_param(), {"role": "user", "content": "Who runs it?"}],
        stop_sequences=["§"],
        metadata={"user_id": "u"},
        thinking={"type": "disabled"},
        tools=[],
    )
    assert second.content[0].type == "text"
    assert second.content[0].text


def test_a_cut_message_says_so(client: anthropic.Anthropic) -> None:
    cut = client.messages.create(model=MODEL, max_tokens=5, messages=QUESTION)
    assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 5)


def test_headers_say_who_answered(client: anthropic.Anthropic) -> None:
    create = client.messages.with_raw_response.create
    raw = create(model=MODEL, max_tokens=5, messages=QUESTION)
    assert raw.headers["x-motherfluxer-instance"] == "sdk"
    assert raw.headers["request-id"] == raw.parse()._request_id
    assert int(raw.headers["x-ratelimit-remaining-requests"]) > 0


def test_a_key_may_be_a_token(shared_site: Site, tiny_key: str) -> None:
    client = anthropic.Anthropic(base_url=shared_site.url, auth_token=tiny_key)
    assert client.messages.create(model=MODEL, max_tokens=5, messages=QUESTION).content


def test_the_beta_client_is_answered_alike(client: anthropic.Anthropic, whole: Any) -> None:
    create = client.beta.messages.create
    asked: Any = {"model": MODEL, "max_tokens": 200, "messages": QUESTION, "extra_body": GREEDY}
    answer = create(**asked, betas=["prompt-caching-2024-07-31"])
    assert answer.content[0].text == whole.content[0].text


def test_errors_become_the_clients_exceptions(client: anthropic.Anthropic) -> None:
    create = client.messages.create
    with pytest.raises(anthropic.NotFoundError) as unknown:
        create(model="no-such-model", max_tokens=5, messages=QUESTION)
    assert (unknown.value.type, unknown.value.error_code) == ("not_found_error", "model_not_found")
    assert unknown.value.request_id
    with pytest.raises(anthropic.BadRequestError) as tools:
        create(
            model=MODEL,
            max_tokens=5,
            messages=QUESTION,
            tools=[{"name": "clock", "input_schema": {"type": "object"}}],
        )
    assert tools.value.error_code == "unsupported_parameter"
    assert "tools" in (tools.value.api_message or "")
    with pytest.raises(anthropic.NotFoundError):
        client.messages.count_tokens(model=MODEL, messages=QUESTION)
    with pytest.raises(anthropic.ContentTooLargeError):
        create(model=MODEL, max_tokens=5, messages=QUESTION, system="x" * 1024 * 1024)
    stranger = anthropic.Anthropic(base_url=client.base_url, api_key="mf_no", max_retries=0)
    with pytest.raises(anthropic.AuthenticationError) as unknown_key:
        stranger.messages.create(model=MODEL, max_tokens=5, messages=QUESTION)
    assert unknown_key.value.type == "authentication_error"


async def test_error_in_a_stream_raises_the_clients_error(shared_site: Site) -> None:
    key = await asyncio.to_thread(shared_site.api_key, "breaks-message@example.org")
    credential = await asyncio.to_thread(shared_site.issue_credential, "breaks-message")
    sdk = anthropic.AsyncAnthropic(base_url=shared_site.url, api_key=key, max_retries=0)
    async with foreign(shared_site, credential, "breaks-message") as instance, sdk as client:
        await instance.hear("welcome")
        asked = asyncio.create_task(
            client.messages.create(model="foreign-1", max_tokens=9, messages=QUESTION, stream=True)
        )
        job = await instance.hear("job")
        await instance.chunk(job, 0, "Hel")
        events = aiter(await asked)
        while (await anext(events)).type != "content_block_delta":
            pass
        failed = {"code": "bad_request", "message": "lab says no", "retryable": False}
        await instance.say(type="failed", job=job["job"], attempt=job["attempt"], seq=1, **failed)
        with pytest.raises(anthropic.APIStatusError, match="lab says no") as raised:
            await anext(events)
    assert raised.value.error_code == "refused_by_instance"


class Clock:
    """The client's `time`, whose sleeping is an act of the test's."""

    def __init__(self, act: Any) -> None:
        self.slept_s: list[float] = []
        self._act = act

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def sleep(self, seconds: float) -> None:
        """Note how long, and act."""
        self.slept_s.append(seconds)
        self._act()


def test_the_client_retries_when_it_was_told_to(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.start_instance("echo", name="first").wait_connected()
    client = anthropic.Anthropic(base_url=site.url, api_key=site.api_key(), max_retries=1)
    site.instances[0].stop()
    asked: Any = {"model": "echo", "max_tokens": 9, "messages": QUESTION}

    def is_gone() -> bool:
        with pytest.raises(anthropic.APIStatusError) as refused:
            client.with_options(max_retries=0).messages.create(**asked)
        return refused.value.status_code == 503

    wait_until(is_gone, "no model served")
    clock = Clock(lambda: site.start_instance("echo", name="second").wait_connected())
    monkeypatch.setattr(_base_client, "time", clock)
    answer = client.messages.create(**asked)
    assert answer.content[0].type == "text"
    assert answer.content[0].text.startswith("What is MotherFluxer?")
    assert clock.slept_s == [10]
