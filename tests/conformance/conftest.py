"""The same sites as the acceptance tests have, and one that real clients ask."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.acceptance.conftest import _new_site, prepared, shared_site, site, start_site
from tests.conformance.recorder import Recorder, recorded
from tests.sites import Site

__all__ = ["_new_site", "prepared", "shared_site", "site", "start_site"]

MODEL: Final = "motherfluxer-tiny"
# Any: the clients' types want their own; users write plain dictionaries.
QUESTION: Final[Any] = [{"role": "user", "content": "What is MotherFluxer?"}]


@dataclass(frozen=True)
class Tiny:
    """A live site whose real model answers QUESTION, asked greedily, with `answer`."""

    site: Site
    key: str
    answer: str

    @property
    def url(self) -> str:
        """What a client of OpenAI's takes as its base URL."""
        return f"{self.site.url}/v1"


@pytest.fixture(scope="session")
def tiny_key(shared_site: Site) -> str:
    """Return an API key; the shared site's instance `sdk` serves the tiny model from now on."""
    shared_site.start_instance("transformers", name="sdk").wait_connected()
    return shared_site.api_key("sdk@example.org")


@pytest.fixture(scope="session")
def tiny(shared_site: Site, tiny_key: str) -> Tiny:
    """Give the site with the bundled model; `answer` came over plain HTTP."""
    body = json.dumps({"model": MODEL, "messages": QUESTION, "temperature": 0})
    headers = {"Authorization": f"Bearer {tiny_key}"}
    response = shared_site.request("POST", "/v1/chat/completions", headers=headers, body=body)
    answer = response.json()["choices"][0]["message"]["content"]
    assert "MotherFluxer" in answer
    return Tiny(shared_site, tiny_key, answer)


@pytest.fixture
def recorder(shared_site: Site) -> Iterator[Recorder]:
    """Yield a way to the shared site that notes each request."""
    with recorded(shared_site.port) as opened:
        yield opened
