"""The command that operators copy."""

import shlex

import pytest

from apps.instances.start import start_command
from motherfluxer.hosts import Sites


@pytest.mark.parametrize(
    ("public", "address"),
    [
        ("https://motherfluxer.ai", "https://motherfluxer.ai"),
        ("http://motherfluxer.localhost:8000", "http://localhost:8000"),
        ("http://motherfluxer.localhost", "http://localhost"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
    ],
)
def test_the_address_is_one_that_programs_can_resolve(public: str, address: str) -> None:
    assert Sites("", public, "", "", "").programs == address


def test_the_secret_stands_in_the_environment_and_in_no_argument() -> None:
    words = shlex.split(start_command(router="https://motherfluxer.ai", credential="mfi_a_b"))
    assert words[0] == "MOTHERFLUXER_CREDENTIAL=mfi_a_b"
    assert not any("mfi_" in word for word in words[1:])
