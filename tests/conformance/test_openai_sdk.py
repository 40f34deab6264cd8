"""The official OpenAI client, unmodified, against a live site with the tiny model."""

from typing import Any

import openai
import pytest

from tests.sites import Site

MODEL = "motherfluxer-tiny"
# Any: the client's types want its own TypedDicts; users write plain dictionaries.
QUESTION: Any = [{"role": "user", "content": "What is MotherFluxer?"}]


@pytest.fixture(scope="module")
def client(shared_site: Site) -> openai.OpenAI:
    shared_site.start_instance("transformers", name="sdk").wait_connected()
    key = shared_site.api_key("sdk@example.org")
    return openai.OpenAI(base_url=f"{shared_site.url}/v1", api_key=key, max_retries=0)


def test_streamed_pieces_joined_are_the_unstreamed_answer(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model=MODEL, messages=QUESTION, temperature=0)
    stream = client.chat.completions.create(
        model=MODEL,
        messages=QUESTION,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert "MotherFluxer" in text
    assert len(chunks) > 4
    assert chunks[-1].usage == whole.usage
    assert whole.usage is not None
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    assert whole.choices[0].finish_reason == "stop"


def test_usage_counts_what_was_asked_for(client: openai.OpenAI) -> None:
    cut = client.chat.completions.create(model=MODEL, messages=QUESTION, max_tokens=5)
    assert cut.choices[0].finish_reason == "length"
    assert cut.usage is not None
    assert cut.usage.completion_tokens == 5


def test_headers_say_who_answered(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=QUESTION)
    assert raw.headers["x-motherfluxer-instance"] == "sdk"
    assert raw.headers["x-motherfluxer-attempts"] == "1"
    assert raw.headers["x-request-id"]
    assert "/transparency/decisions/" in raw.headers["x-motherfluxer-decision"]


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert MODEL in [model.id for model in client.models.list()]
    assert client.models.retrieve(MODEL).id == MODEL


def test_errors_become_the_clients_exceptions(client: openai.OpenAI, shared_site: Site) -> None:
    create = client.chat.completions.create
    with pytest.raises(openai.NotFoundError) as unknown:
        create(model="no-such-model", messages=QUESTION)
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as tools:
        create(model=MODEL, messages=QUESTION, n=2)
    assert tools.value.param == "n"
    with pytest.raises(openai.BadRequestError) as unsupported:
        create(model=MODEL, messages=QUESTION, logit_bias={"1": 1})
    assert (unsupported.value.code, unsupported.value.param) == (
        "unsupported_parameter",
        "logit_bias",
    )
    stranger = openai.OpenAI(base_url=f"{shared_site.url}/v1", api_key="mf_no", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        stranger.models.list()


async def test_async_client_streams(client: openai.OpenAI) -> None:
    async with openai.AsyncOpenAI(base_url=client.base_url, api_key=client.api_key) as aclient:
        create = aclient.chat.completions.create
        stream = await create(model=MODEL, messages=QUESTION, stream=True)
        text = "".join([c.choices[0].delta.content or "" async for c in stream])
    assert "MotherFluxer" in text
