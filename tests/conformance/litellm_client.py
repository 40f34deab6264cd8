"""A program that uses LiteLLM: `python -m tests.conformance.litellm_client QUESTION`.

Asks in every way that LiteLLM has, and prints what came as JSON. A process of its own, as it is
for its users: LiteLLM leaves an event loop behind, and tidies up when the process ends. Where to
ask stands in the environment, as OPENAI_BASE_URL and OPENAI_API_KEY.
"""

import asyncio
import importlib
import ipaddress
import json
import os
import sys
from collections.abc import Callable
from typing import Any, Final

# LiteLLM reads this when it is imported; without it, it fetches a list of prices from the internet.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
# Any: its types are those of a hundred providers, and take the checker a minute to read.
litellm: Final[Any] = importlib.import_module("litellm")

MODEL: Final = "motherfluxer-tiny"


def refuse_strangers(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse every connection that would leave this machine."""
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
        if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
            raise PermissionError(f"tests talk to loopback only, not to {host}")


def errors_of(ask: Callable[..., Any], asked: dict[str, Any]) -> dict[str, str]:
    """Return by what was wrong with a request the class that LiteLLM raised."""
    wrong: dict[str, dict[str, Any]] = {
        "model": {"model": "openai/no-such-model"},
        "parameter": {"temperature": 17},
        "key": {"api_key": "mf_no"},
    }
    found = {}
    for name, change in wrong.items():
        try:
            ask(**{**asked, **change})
        except Exception as error:  # noqa: BLE001 # the test looks at what it is
            found[name] = type(error).__name__
    return found


async def ask_asynchronously(asked: dict[str, Any]) -> dict[str, str]:
    """Ask for a whole and for a streamed answer."""
    whole = await litellm.acompletion(**asked)
    stream = await litellm.acompletion(**asked, stream=True)
    pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
    return {"async": whole.choices[0].message.content, "async_streamed": "".join(pieces)}


def main(question: str) -> None:
    """Ask in every way, and print what came."""
    sys.addaudithook(refuse_strangers)
    shared = {"temperature": 0, "max_retries": 0}
    messages = [{"role": "user", "content": question}]
    asked = {"model": f"openai/{MODEL}", "messages": messages, **shared}
    whole = litellm.completion(**asked)
    stream = litellm.completion(**asked, stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    before_chats = {"model": f"text-completion-openai/{MODEL}", "prompt": question, **shared}
    found = {
        "whole": whole.choices[0].message.content,
        "finish_reason": whole.choices[0].finish_reason,
        "usage": [whole.usage.prompt_tokens, whole.usage.completion_tokens],
        "streamed": "".join(pieces),
        "streamed_usage": [chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens],
        "text": litellm.text_completion(**before_chats).choices[0].text,
        "errors": errors_of(litellm.completion, asked),
        **asyncio.run(ask_asynchronously(asked)),
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
