"""A user's API key in a real browser: made, shown once, used, counted, rotated, revoked."""

import csv
import json
import os
import re
import shutil
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.sites import Response, Site, wait_until

pytestmark = pytest.mark.browser

WIDE_AND_LIGHT = {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"}
PHONE_AND_DARK = {
    "viewport": {"width": 390, "height": 844},
    "color_scheme": "dark",
    "is_mobile": True,
    "has_touch": True,
}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
    arguments = ["--no-sandbox", "--disable-quic", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(params=[WIDE_AND_LIGHT, PHONE_AND_DARK], ids=["wide-light", "phone-dark"])
def page(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[Page]:
    """A fresh profile; whatever the policy or a script complains about fails the test."""
    context = chromium.new_context(**request.param)
    context.set_default_timeout(30_000)
    complaints: list[str] = []
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    context.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    yield context.new_page()
    context.close()
    assert complaints == []


class Reader:
    """A user with a browser, who looks at every page that it opens."""

    def __init__(self, site: Site, page: Page) -> None:
        self.page = page
        self._base = f"http://{site.host('user')}:{site.port}"
        page.goto(f"{self._base}/accounts/login/")
        page.get_by_label("Email").fill(f"operator@{site.domain}")
        page.get_by_label("Password").fill(site.password("operator"))
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.wait_for_url(f"{self._base}/")

    def open(self, path: str) -> None:
        """Open a page and look at it."""
        self.page.goto(f"{self._base}{path}")
        self.look()

    def look(self) -> None:
        """Fail on what axe finds, and on a page that is wider than the screen."""
        self.page.wait_for_load_state()
        found = Axe().run(self.page).response["violations"]
        assert [(rule["id"], rule["nodes"]) for rule in found] == [], self.page.url
        assert self.page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    def shown_key(self) -> str:
        """Return the key on the page, which is nowhere else."""
        self.look()
        text = self.page.locator("#fresh-key").inner_text()
        assert re.fullmatch(r"mf_\w{12}_\w{49}", text)
        assert self.page.content().count(text) == 1
        expect(self.page.get_by_role("button", name="Copy the key")).to_be_visible()
        return text


def ask(site: Site, key: str) -> Response:
    """Ask the API something with a key."""
    body = {"model": "echo", "messages": [{"role": "user", "content": "one two three"}]}
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    return site.request("POST", "/v1/chat/completions", headers=headers, body=json.dumps(body))


def make_key(reader: Reader) -> str:
    """Create a key for one model; return it."""
    page = reader.page
    reader.open("/keys/")
    page.get_by_role("link", name="Create a key").click()
    reader.look()
    page.get_by_label("Name").fill("laptop")
    page.get_by_label("echo").check()
    page.get_by_role("button", name="Create key").click()
    key = reader.shown_key()
    reader.open("/keys/")
    assert key not in page.content()
    return key


def see_usage(reader: Reader, requests: str) -> None:
    """Wait until the usage page has counted so many requests; read them as CSV too."""
    page = reader.page

    def is_counted() -> bool:
        reader.open("/usage/")
        row = page.get_by_role("row", name="echo")
        return bool(row.count()) and row.get_by_role("cell").nth(1).inner_text() == requests

    wait_until(is_counted, "all requests are counted")
    bar = page.locator("svg.plot-bars rect")
    expect(bar).to_have_count(1)
    assert bar.evaluate("bar => getComputedStyle(bar).fill") != "rgb(0, 0, 0)"
    with page.expect_download() as download:
        page.get_by_role("link", name="All days as CSV").click()
    with download.value.path().open(newline="") as file:
        [row] = csv.DictReader(file)
    assert (row["key"], row["model"], row["requests"]) == ("laptop", "echo", requests)


def rotate_key(reader: Reader) -> str:
    """Rotate the key's secret, the old one to end at once; return the new one."""
    page = reader.page
    reader.open("/keys/")
    expect(page.get_by_role("row", name="laptop")).to_contain_text(re.compile(r"127\.0\.0\.1|::1"))
    page.get_by_role("link", name="laptop").click()
    reader.look()
    page.get_by_label("At once").check()
    page.get_by_role("button", name="Rotate").click()
    return reader.shown_key()


def revoke_key(reader: Reader) -> None:
    """Revoke the key, from the page that shows it once."""
    page = reader.page
    page.get_by_role("link", name="I have copied it").click()
    page.get_by_role("link", name="laptop").click()
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Revoke laptop").click()
    expect(page.get_by_role("status")).to_contain_text("Revoked")
    reader.look()


def test_a_key_is_made_used_counted_rotated_and_revoked(site: Site, page: Page) -> None:
    site.start_instance().wait_connected()
    reader = Reader(site, page)
    reader.open("/usage/")
    expect(page.get_by_text("used nothing in the last 30 days")).to_be_visible()
    key = make_key(reader)

    assert ask(site, key).status == 200
    site.stop()  # at once: what was counted is written all the same
    site.start()
    site.instances[0].wait_connected()
    assert ask(site, key).status == 200
    see_usage(reader, "2")

    fresh = rotate_key(reader)
    assert ask(site, fresh).status == 200
    wait_until(lambda: ask(site, key).status == 401, "the old secret is refused", timeout_s=3)
    revoke_key(reader)
    wait_until(lambda: ask(site, fresh).status == 401, "the key is refused", timeout_s=3)
    assert ask(site, fresh).json() == ask(site, key).json() == ask(site, "mf_nonsense").json()
