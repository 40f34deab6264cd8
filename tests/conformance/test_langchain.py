"""LangChain's ChatOpenAI, unmodified, against a live site with the tiny model."""

from typing import Any

import openai
import pytest
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from tests.conformance.conftest import MODEL, QUESTION, Tiny
from tests.conformance.recorder import Recorder

TEXT = QUESTION[0]["content"]


@pytest.fixture
def chat(tiny: Tiny, recorder: Recorder) -> ChatOpenAI:
    return chat_with(tiny, recorder)


def chat_with(tiny: Tiny, recorder: Recorder, **options: Any) -> ChatOpenAI:
    return ChatOpenAI(
        model=MODEL,
        base_url=f"{recorder.url}/v1",
        api_key=SecretStr(tiny.key),
        temperature=0,
        max_retries=0,
        **options,
    )


def test_invoked_it_gives_the_answer(tiny: Tiny, chat: ChatOpenAI) -> None:
    message = chat.invoke(TEXT)
    assert message.text == tiny.answer
    assert message.usage_metadata is not None
    assert message.usage_metadata["output_tokens"] > 4


def test_streamed_pieces_joined_are_the_answer(tiny: Tiny, chat: ChatOpenAI) -> None:
    texts = [piece.text for piece in chat.stream(TEXT)]
    assert "".join(texts) == tiny.answer


async def test_asynchronously_it_gives_the_answer(tiny: Tiny, chat: ChatOpenAI) -> None:
    assert (await chat.ainvoke(TEXT)).text == tiny.answer
    assert "".join([piece.text async for piece in chat.astream(TEXT)]) == tiny.answer


def test_a_batch_gives_each_its_answer(tiny: Tiny, chat: ChatOpenAI, recorder: Recorder) -> None:
    messages = chat.batch([TEXT] * 3)
    assert [message.text for message in messages] == [tiny.answer] * 3
    assert [asked.path for asked in recorder.asked] == ["/v1/chat/completions"] * 3


async def test_by_responses_it_gives_the_same_answer(tiny: Tiny, recorder: Recorder) -> None:
    chat = chat_with(tiny, recorder, use_responses_api=True)
    assert (await chat.ainvoke(TEXT)).text == tiny.answer
    assert "".join([piece.text async for piece in chat.astream(TEXT)]) == tiny.answer
    assert [asked.path for asked in recorder.asked] == ["/v1/responses"] * 2


def test_errors_are_the_openai_clients(tiny: Tiny, recorder: Recorder) -> None:
    with pytest.raises(openai.NotFoundError, match="no-such-model"):
        chat_with(tiny, recorder).with_config().bind(model="no-such-model").invoke(TEXT)
    with pytest.raises(openai.BadRequestError, match="logprobs"):
        chat_with(tiny, recorder, logprobs=True).invoke(TEXT)
