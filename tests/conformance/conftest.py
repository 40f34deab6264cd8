"""The same sites as the acceptance tests have."""

from tests.acceptance.conftest import _new_site, prepared, shared_site, site, start_site

__all__ = ["_new_site", "prepared", "shared_site", "site", "start_site"]
