"""Every example on the page about clients that is marked as run does run, as it stands there."""

import json
import re
import subprocess
import sys
from typing import Final

import pytest

from tests.conformance.conftest import Tiny
from tests.sites import ROOT, base_env
from tests.streams import api_text

PAGE: Final = ROOT / "docs" / "clients.md"
_RUN: Final = re.compile(r"^```(python|sh) run\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES: Final = [(found[1], found[2]) for found in _RUN.finditer(PAGE.read_text())]
COMMANDS: Final = {"python": [sys.executable, "-c"], "sh": ["sh", "-euc"]}
# Only its list of prices comes from elsewhere, and this is what it does without a network.
_LITELLM: Final = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}


def text_of(output: str) -> str:
    """Return the answer's text in what an example printed: as it is, as JSON, or as events."""
    if output.startswith("{"):
        return str(json.loads(output)["choices"][0]["message"]["content"])
    if not output.startswith("data: "):
        return output
    return api_text(output)


def test_each_client_has_an_example() -> None:
    text = "".join(code for _, code in EXAMPLES)
    for name in ("OpenAI(", "AsyncOpenAI(", "curl", "litellm", "ChatOpenAI(", "anthropic"):
        assert name in text


@pytest.mark.parametrize(
    ("language", "code"),
    EXAMPLES,
    ids=[f"{n}-{language}" for n, (language, _) in enumerate(EXAMPLES)],
)
def test_example_prints_the_answer(tiny: Tiny, language: str, code: str) -> None:
    where = {"OPENAI_BASE_URL": tiny.url, "OPENAI_API_KEY": tiny.key}
    other = {"ANTHROPIC_BASE_URL": tiny.site.url, "ANTHROPIC_API_KEY": tiny.key}
    done = subprocess.run(
        [*COMMANDS[language], code],
        env={**base_env(), **where, **other, **_LITELLM},
        cwd=tiny.site.folder,
        capture_output=True,
        text=True,
    )
    assert not done.returncode, done.stderr
    assert tiny.answer in text_of(done.stdout)
