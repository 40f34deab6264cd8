"""Which other sites one may sign in by, from the environment."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from motherfluxer.env import read_environment

GITHUB = {"client_id": "x", "secret": "y"}


def test_none_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOCIAL_PROVIDERS", raising=False)
    assert read_environment().social_providers == {}


def test_one_app_or_a_list_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    text = '{"github": {"client_id": "x", "secret": "y"}, "openid_connect": [{"client_id": "z"}]}'
    monkeypatch.setenv("SOCIAL_PROVIDERS", text)
    found = read_environment().social_providers
    assert found == {"github": [GITHUB], "openid_connect": [{"client_id": "z"}]}


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        "1",
        '{"github": 1}',
        '{"github": {}}',
        '{"a.b": {"client_id": "x"}}',
        '{"x": [1]}',
    ],
)
def test_nonsense_is_refused_in_words(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("SOCIAL_PROVIDERS", text)
    with pytest.raises(ImproperlyConfigured, match="SOCIAL_PROVIDERS is no JSON like"):
        read_environment()
