"""LiteLLM as a client, unmodified, against a live site with the tiny model."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.conformance.conftest import QUESTION, Tiny
from tests.conformance.recorder import recorded
from tests.sites import ROOT, base_env


@pytest.fixture(scope="module")
def found(tiny: Tiny) -> dict[str, Any]:
    """Return what LiteLLM made of it, and where it asked."""
    program = [sys.executable, "-m", "tests.conformance.litellm_client", QUESTION[0]["content"]]
    with recorded(tiny.site.port) as recorder:
        where = {"OPENAI_BASE_URL": f"{recorder.url}/v1", "OPENAI_API_KEY": tiny.key}
        env = {**base_env(), **where}
        done = subprocess.run(program, cwd=ROOT, env=env, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    # What it tells its users stands before: only the last line is ours.
    return {**json.loads(done.stdout.splitlines()[-1]), "paths": [a.path for a in recorder.asked]}


@pytest.mark.parametrize("way", ["whole", "streamed", "async", "async_streamed", "text"])
def test_each_way_to_ask_gives_the_answer(tiny: Tiny, found: dict[str, Any], way: str) -> None:
    assert found[way] == tiny.answer


def test_usage_is_the_same_in_a_stream(found: dict[str, Any]) -> None:
    assert found["usage"] == found["streamed_usage"]
    assert min(found["usage"]) > 0
    assert found["finish_reason"] == "stop"


def test_errors_become_its_exceptions(found: dict[str, Any]) -> None:
    assert found["errors"] == {
        "model": "NotFoundError",
        "parameter": "BadRequestError",
        "key": "AuthenticationError",
    }


def test_it_asks_once_for_each_answer(found: dict[str, Any]) -> None:
    chats = ["/v1/chat/completions"]
    assert found["paths"] == [*chats * 2, "/v1/completions", *chats * 3, *chats * 2]
