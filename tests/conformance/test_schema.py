"""The API answers as its schema says, whatever schemathesis sends; nothing falls over."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.api.asgi import _DIALECTS
from tests import fuzzing
from tests.acceptance.conftest import SiteFactory
from tests.sites import Site


@pytest.fixture(scope="module")
def unlimited(_new_site: SiteFactory) -> Iterator[Site]:
    site = _new_site(env=fuzzing.NO_LIMITS).start()
    yield site
    site.close()


def test_nothing_that_can_be_sent_gets_an_undocumented_answer(
    unlimited: Site, tmp_path: Path
) -> None:
    key = fuzzing.prepared_key(unlimited)
    found = fuzzing.site_fuzz(unlimited, key, tmp_path, "--max-examples=8")
    assert not found.failures, found.output
    assert all(0 < status < 500 for status in found.statuses), found.output
    assert found.cases >= 600
    made = {"status_code_conformance", "content_type_conformance", "response_schema_conformance"}
    assert made <= set(found.checks)
    assert min(found.statuses[status] for status in (200, 201, 400, 401, 404, 405, 409)) > 0
    # The key that asked is still good: else all of this was about 401.
    assert unlimited.get("/api/account/", Authorization=f"Bearer {key}").status == 200


def test_every_endpoint_of_v1_is_in_the_schema(unlimited: Site) -> None:
    paths = unlimited.get("/api/schema/").json()["paths"]
    assert set(_DIALECTS) <= set(paths)
    assert {"/v1/models", "/v1/models/{id}"} <= set(paths)
