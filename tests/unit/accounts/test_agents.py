"""Words for browsers."""

import pytest

from apps.accounts.core.agents import agent_words

APPLE = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
            "Firefox on Linux",
        ),
        (f"{APPLE} Version/17.4 Safari/605.1.15", "Safari on macOS"),
        (f"{APPLE} Chrome/131.0.0.0 Safari/537.36", "Chrome on macOS"),
        (f"{APPLE} Chrome/131.0.0.0 Safari/537.36 Edg/131.0", "Edge on macOS"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Safari/604.1", "Safari on iPhone"),
        ("curl/8.5.0", "curl/8.5.0"),
        ("x" * 200, "x" * 60),
        ("", "an unnamed program"),
    ],
)
def test_a_browser_is_named(user_agent: str, words: str) -> None:
    assert agent_words(user_agent) == words
