"""The official OpenAI client, unmodified, against a live site with the tiny model."""

import asyncio
from typing import Any

import openai
import pytest

from tests.conformance.conftest import MODEL, QUESTION, Tiny
from tests.conformance.test_foreign_instance import foreign
from tests.sites import Site, wait_until


@pytest.fixture(scope="module")
def client(tiny: Tiny) -> openai.OpenAI:
    return openai.OpenAI(base_url=tiny.url, api_key=tiny.key, max_retries=0)


def test_streamed_pieces_joined_are_the_unstreamed_answer(
    client: openai.OpenAI, tiny: Tiny
) -> None:
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
    assert text == whole.choices[0].message.content == tiny.answer
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


def test_a_keys_limits_become_the_clients_exceptions(tiny: Tiny) -> None:
    user = ("--skip-checks", "--user", "limited@example.org", "--name", "limited", "--create-user")
    limits = ("--models", MODEL, "--requests-per-minute", "1")
    key = tiny.site.manage("create_api_key", *user, *limits).strip()
    with openai.OpenAI(base_url=tiny.url, api_key=key, max_retries=0) as client:
        create = client.chat.completions.create
        with pytest.raises(openai.PermissionDeniedError) as refused:
            create(model="another", messages=QUESTION)
        with pytest.raises(openai.RateLimitError) as limited:
            [create(model=MODEL, messages=QUESTION, max_tokens=1) for _ in range(3)]
    assert limited.value.code == "rate_limit_exceeded"
    headers = limited.value.response.headers
    assert headers["x-ratelimit-limit-requests"] == "1"
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert 0 < int(headers["retry-after"]) <= 60
    assert refused.value.code == "model_out_of_scope"


async def test_async_client_streams(client: openai.OpenAI, tiny: Tiny) -> None:
    async with openai.AsyncOpenAI(base_url=client.base_url, api_key=client.api_key) as aclient:
        create = aclient.chat.completions.create
        stream = await create(model=MODEL, messages=QUESTION, temperature=0, stream=True)
        text = "".join([c.choices[0].delta.content or "" async for c in stream])
    assert text == tiny.answer


def test_completion_from_before_chats_is_the_same_answer(client: openai.OpenAI, tiny: Tiny) -> None:
    create, prompt = client.completions.create, QUESTION[0]["content"]
    whole = create(model=MODEL, prompt=prompt, temperature=0)
    assert whole.choices[0].text == tiny.answer
    stream = create(model=MODEL, prompt=prompt, temperature=0, stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == tiny.answer


@pytest.fixture
def slow_client(site: Site) -> openai.OpenAI:
    """Return a client of a site whose one instance answers one request at a time, slowly."""
    options = ("--echo-delay-ms=50",)
    site.start_instance("echo", name="slow", slots=1, options=options).wait_connected()
    return openai.OpenAI(base_url=f"{site.url}/v1", api_key=site.api_key(), max_retries=0)


def words(count: int) -> Any:
    return [{"role": "user", "content": "word " * count}]


def test_hanging_up_frees_the_only_slot(slow_client: openai.OpenAI) -> None:
    create = slow_client.chat.completions.create
    with create(model="echo", messages=words(4000), stream=True) as endless:
        assert next(chunk for chunk in endless if chunk.choices[0].delta.content)
    # The endless answer would take minutes: this one is given only if that was stopped.
    answer = create(model="echo", messages=words(2), timeout=30)
    assert answer.choices[0].message.content == "word word "


async def test_error_in_a_stream_raises_the_clients_error(shared_site: Site) -> None:
    key = await asyncio.to_thread(shared_site.api_key, "breaks@example.org")
    credential = await asyncio.to_thread(shared_site.issue_credential, "breaks")
    sdk = openai.AsyncOpenAI(base_url=f"{shared_site.url}/v1", api_key=key, max_retries=0)
    async with foreign(shared_site, credential, "breaks") as instance, sdk as client:
        await instance.hear("welcome")
        create = client.chat.completions.create
        asked = asyncio.create_task(create(model="foreign-1", messages=QUESTION, stream=True))
        job = await instance.hear("job")
        await instance.chunk(job, 0, "Hel")
        chunks = aiter(await asked)
        while not (await anext(chunks)).choices[0].delta.content:
            pass
        failed = {"code": "bad_request", "message": "lab says no", "retryable": False}
        await instance.say(type="failed", job=job["job"], attempt=job["attempt"], seq=1, **failed)
        with pytest.raises(openai.APIError, match="lab says no") as raised:
            await anext(chunks)
    assert raised.value.code == "refused_by_instance"


def test_model_without_an_instance_says_when_to_retry(
    slow_client: openai.OpenAI, site: Site
) -> None:
    site.instances[0].stop()
    wait_until(lambda: not list(slow_client.models.list()), "no model served")
    with pytest.raises(openai.InternalServerError) as refused:
        slow_client.chat.completions.create(model="echo", messages=words(2))
    assert (refused.value.status_code, refused.value.code) == (503, "no_instance")
    assert int(refused.value.response.headers["retry-after"]) > 0
