"""The official OpenAI client asks again when it is told to, not before then, and never else."""

import asyncio
from collections.abc import Callable

import openai
import pytest

from tests.acceptance.raw import raw_instance
from tests.conformance.conftest import QUESTION, Tiny
from tests.conformance.recorder import Recorder, recorded
from tests.sites import Site, wait_until


async def until(is_true: Callable[[], bool], what: str) -> None:
    """Wait until something is so, beside the event loop."""
    await asyncio.to_thread(wait_until, is_true, what)


async def served_once(site: Site, key: str, credential: str, model: str) -> None:
    """Make a model known that no instance serves any more."""
    async with raw_instance(site.port, credential, model, model=model):
        pass
    path, headers = f"/v1/models/{model}", {"Authorization": f"Bearer {key}"}
    await until(lambda: site.get(path, **headers).status == 404, f"{model} gone")


async def test_it_waits_as_long_as_it_is_told_and_asks_as_often_as_it_may(
    shared_site: Site,
) -> None:
    key = await asyncio.to_thread(shared_site.api_key, "retries@example.org")
    credential = await asyncio.to_thread(shared_site.issue_credential, "retries")
    for model in ("left", "returning"):
        await served_once(shared_site, key, credential, model)
    port = shared_site.port
    with recorded(port) as one, recorded(port) as other:
        impatient = openai.OpenAI(base_url=f"{one.url}/v1", api_key=key, max_retries=1)
        patient = openai.AsyncOpenAI(base_url=f"{other.url}/v1", api_key=key, max_retries=9)
        with impatient:
            create = impatient.chat.completions.create
            refusing = asyncio.create_task(
                asyncio.to_thread(create, model="left", messages=QUESTION)
            )
            async with patient:
                answering = asyncio.create_task(
                    patient.chat.completions.create(model="returning", messages=QUESTION)
                )
                await until(lambda: bool(other.asked), "asked in vain")
                async with raw_instance(port, credential, "back", model="returning") as back:
                    await back.echo(await back.next_job(), ["here ", "again"])
                    answer = await answering
            with pytest.raises(openai.InternalServerError) as refused:
                await refusing
    assert answer.choices[0].message.content == "here again"
    assert refused.value.code == "no_instance"
    retry_after_s = int(refused.value.response.headers["retry-after"])
    assert retry_after_s > 1
    assert len(one.asked) == 2
    assert len(other.asked) >= 2
    assert min(one.gaps_s + other.gaps_s) >= retry_after_s
    assert [asked.headers["x-stainless-retry-count"] for asked in one.asked] == ["0", "1"]


def test_it_asks_once_where_asking_again_would_not_help(tiny: Tiny, recorder: Recorder) -> None:
    with openai.OpenAI(base_url=f"{recorder.url}/v1", api_key=tiny.key, max_retries=2) as client:
        create = client.chat.completions.create
        with pytest.raises(openai.NotFoundError):
            create(model="no-such-model", messages=QUESTION)
        with pytest.raises(openai.BadRequestError):
            create(model="motherfluxer-tiny", messages=QUESTION, temperature=17)
        with pytest.raises(openai.AuthenticationError):
            client.with_options(api_key="mf_no").models.list()
    assert [asked.path for asked in recorder.asked] == [
        *["/v1/chat/completions"] * 2,
        "/v1/models",
    ]
