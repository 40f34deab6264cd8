"""An operator's road in a real browser: credential, package, a connected instance, revocation."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from motherfluxer_wire.tokens import parse_token
from tests.servers import free_port
from tests.signing_in import sign_in_page
from tests.sites import Instance, Site, base_env, wait_until

pytestmark = pytest.mark.browser

OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A fresh profile that remembers whatever the policy or a script complained about."""
    context = chromium.new_context(accept_downloads=True)
    context.set_default_timeout(20_000)
    complaints: list[str] = []
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    context.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    yield context
    context.close()
    # To be refused is no mistake of the page.
    assert [words for words in complaints if "403 (Forbidden)" not in words] == []


def _issue(page: Page, name: str) -> str:
    """Issue a credential on the page and return it."""
    page.get_by_role("link", name="New credential").click()
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Issue credential").click()
    text = page.locator("#credential").inner_text()
    assert parse_token("mfi", text) is not None
    assert text in page.locator("#command").inner_text()
    return text


def _download(page: Page, folder: Path) -> Path:
    """Download the package, check it against the page's checksum, and unpack it."""
    with page.expect_download() as started:
        page.get_by_role("link", name=re.compile(r"motherfluxer-model-.*\.tar\.gz")).click()
    archive = folder / started.value.suggested_filename
    started.value.save_as(archive)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    expect(page.locator(".mf-hash")).to_have_text(digest)
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


def _start(site: Site, source: Path, folder: Path, credential: str) -> Instance:
    """Install the package as it came, without an index, and start what was installed."""
    target = folder / "installed"
    offline = ("--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    pip = [sys.executable, "-m", "pip", "install", "-q", *offline, "--target", str(target)]
    subprocess.run([*pip, str(source)], check=True)
    env = {**base_env(), "PYTHONPATH": str(target), "MOTHERFLUXER_CREDENTIAL": credential}
    where = [sys.executable, "-c", "import motherfluxer_model as m; print(m.__file__)"]
    found = subprocess.run(where, env=env, check=True, capture_output=True, text=True)
    assert found.stdout.startswith(str(target))
    port = free_port()
    command = [
        *(sys.executable, "-m", "motherfluxer_model.cli", "run", "--engine=echo"),
        *(f"--router=http://localhost:{site.port}", "--name=from-package"),
        f"--health-port={port}",
    ]
    instance = Instance(command, env, folder / "instance.log", port)
    site.instances.append(instance)
    return instance.wait_connected()


def test_an_operator_goes_from_sign_in_to_a_connected_instance(
    site: Site, context: BrowserContext, tmp_path: Path
) -> None:
    page = context.new_page()
    sign_in_page(page, site, "operator")
    expect(page.get_by_text("No instance has connected yet")).to_be_visible()

    credential = _issue(page, "my machine")
    page.reload()
    assert credential not in page.content()
    page.goto(f"http://{site.host('admin')}:{site.port}/")
    assert credential not in page.content()
    expect(page.locator("code", has_text=credential[:16])).to_be_visible()

    source = _download(page, tmp_path)
    instance = _start(site, source, tmp_path, credential)
    row = page.get_by_role("row").filter(has_text="from-package")
    expect(row).to_contain_text("connected")  # without a reload
    expect(row).to_contain_text("echo")

    boss = context.new_page()
    sign_in_page(boss, site, "superadmin")
    boss.get_by_role("link", name="The router, live").click()
    live = boss.get_by_role("region", name="Instances").get_by_role("row")
    expect(live.filter(has_text="from-package")).to_contain_text(f"operator@{site.domain}")
    expect(boss.get_by_role("region", name="Models")).to_contain_text("echo")

    page.get_by_role("link", name="Revoke my machine").click()
    expect(page.get_by_text("1 connected instance will be cut off")).to_be_visible()
    page.get_by_role("button", name="Revoke my machine").click()
    expect(page.get_by_text("are cut off now")).to_be_visible()
    wait_until(lambda: not instance.is_running, "the revoked instance stops")
    assert instance.process.returncode == 3
    expect(boss.get_by_text("No instance is connected")).to_be_visible()  # without a reload


def test_a_rotated_credential_takes_the_old_ones_place(site: Site, context: BrowserContext) -> None:
    page = context.new_page()
    sign_in_page(page, site, "operator")
    old = _issue(page, "my machine")
    page.get_by_role("link", name="I have copied it").click()
    page.get_by_role("link", name="Rotate my machine").click()
    page.get_by_role("button", name="Rotate my machine").click()
    fresh = page.locator("#credential").inner_text()
    assert parse_token("mfi", fresh) is not None
    assert fresh != old
    refused = site.start_instance(credential=old)
    wait_until(lambda: not refused.is_running, "the old credential is refused")
    site.start_instance(credential=fresh).wait_connected()


def test_an_operator_is_told_that_the_superadmins_site_is_not_for_him(
    site: Site, context: BrowserContext
) -> None:
    page = context.new_page()
    page.goto(f"http://{site.host('superadmin')}:{site.port}/router/")
    page.get_by_label("Email").fill(f"operator@{site.domain}")
    page.get_by_label("Password").fill(site.password("operator"))
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("This site is for superadmins")).to_be_visible()


def test_no_page_is_wider_than_a_phone(site: Site, context: BrowserContext) -> None:
    site.start_instance(name="a-machine-with-a-rather-long-name").wait_connected()
    page = context.new_page()
    page.set_viewport_size({"width": 360, "height": 800})
    roads = {
        "operator": ["/", "/instances/credential/add/", "/instances/credential/"],
        "superadmin": ["/", "/router/", "/accounts/user/"],
    }
    for role, paths in roads.items():
        sign_in_page(page, site, role)
        for path in paths:
            page.goto(urljoin(page.url, path))
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= 360, (role, path)
