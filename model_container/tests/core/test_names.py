"""What an operator writes, made fit for the protocol."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motherfluxer_model.core.names import (
    fit_instance_name,
    fit_model_name,
    fit_router_url,
    is_instance_name,
)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://localhost:8000", "ws://localhost:8000/ws/instances/"),
        ("https://motherfluxer.ai/", "wss://motherfluxer.ai/ws/instances/"),
        ("ws://127.0.0.1:1/other/", "ws://127.0.0.1:1/other/"),
        (" WSS://[::1]:9 ", "wss://[::1]:9/ws/instances/"),
    ],
)
def test_any_address_of_the_site_is_the_links(text: str, url: str) -> None:
    assert fit_router_url(text) == url


@pytest.mark.parametrize(
    "text",
    ["", "motherfluxer.ai", "ftp://x", "https://", "https://x/?credential=1", "https://a:b@x"],
)
def test_what_is_no_address_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match="router's address"):
        fit_router_url(text)


@given(st.text())
def test_every_host_name_gives_a_legal_instance_name(text: str) -> None:
    assert is_instance_name(fit_instance_name(text))


@pytest.mark.parametrize(
    ("text", "name"), [("My Box.local", "my-box-local"), ("--", "instance"), ("a_b", "a-b")]
)
def test_instance_name_stays_readable(text: str, name: str) -> None:
    assert fit_instance_name(text) == name


@given(st.text())
def test_every_source_gives_a_legal_model_name(text: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}", fit_model_name(text))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("microsoft/phi-2", "phi-2"),
        ("/models/My Model/", "My-Model"),
        ("tiny\\motherfluxer-tiny", "motherfluxer-tiny"),
        ("..", "model"),
    ],
)
def test_model_is_named_after_the_last_part(text: str, name: str) -> None:
    assert fit_model_name(text) == name
