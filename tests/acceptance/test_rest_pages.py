"""The pages of `/api/` in a real browser: for everybody, and within the policy."""

import json

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page

from tests.acceptance.test_api_keys import chromium, page
from tests.signing_in import sign_in_page
from tests.sites import Site

__all__ = ["chromium", "page"]
pytestmark = pytest.mark.browser


def look(page: Page) -> None:
    """Look whether everybody can use the page, and nothing sticks out of it."""
    found = Axe().run(page)
    assert found.violations_count == 0, (page.url, found.generate_report())
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), page.url


def test_what_anybody_may_read_is_a_page(shared_site: Site, page: Page) -> None:
    base = f"http://{shared_site.host()}:{shared_site.port}/api"
    for path in ("/", "/fleet/", "/decisions/", "/docs/"):
        page.goto(base + path)
        look(page)
    page.locator("summary", has_text="/api/conversations/{id}/").first.click()
    page.get_by_role("link", name="Problem").first.click()
    assert page.get_by_role("heading", name="Problem", exact=True).is_visible()


def test_an_operator_issues_and_revokes_a_credential_by_page(shared_site: Site, page: Page) -> None:
    sign_in_page(page, shared_site, "operator")
    page.goto(f"http://{shared_site.host('admin')}:{shared_site.port}/api/credentials/")
    look(page)
    width = page.viewport_size
    name = f"by page {width and width['width']}"
    page.get_by_label("Body, as JSON").fill(json.dumps({"name": name}))
    page.get_by_role("button", name="POST").click()
    page.get_by_text("POST: 201 Created").wait_for()
    assert '"credential": "mfi_' in page.locator("#rest-reply-body").inner_text()
    look(page)
    page.reload()
    page.get_by_role("link", name=name).click()
    page.wait_for_url("**/api/credentials/*/")
    look(page)
    page.get_by_role("button", name="Revoke").click()
    page.get_by_text("POST: 200 OK").wait_for()
    assert '"state": "revoked"' in page.locator("#rest-reply-body").inner_text()
