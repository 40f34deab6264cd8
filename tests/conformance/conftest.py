"""The same sites as the acceptance tests have, and a key for one that serves the tiny model."""

import pytest

from tests.acceptance.conftest import _new_site, prepared, shared_site, site, start_site
from tests.sites import Site

__all__ = ["_new_site", "prepared", "shared_site", "site", "start_site"]


@pytest.fixture(scope="session")
def tiny_key(shared_site: Site) -> str:
    """Return an API key; the shared site's instance `sdk` serves the tiny model from now on."""
    shared_site.start_instance("transformers", name="sdk").wait_connected()
    return shared_site.api_key("sdk@example.org")
