"""An account in a real browser: sign-up, second factors, passkeys on several sites, sessions."""

import os
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.mail import code_in, text_of, wait_mail
from tests.signing_in import sign_in_page, totp_code
from tests.sites import Site

pytestmark = pytest.mark.browser

PASSWORD = "correct-horse-9"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    """A fresh profile that remembers whatever the policy or a script complained about."""
    context = chromium.new_context(**getattr(request, "param", {}))
    context.set_default_timeout(20_000)
    complaints: list[str] = []
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    context.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    yield context
    context.close()
    # To be refused is no mistake of a page.
    refusals = ("401 (Unauthorized)", "403 (Forbidden)")
    assert [words for words in complaints if not words.endswith(refusals)] == []


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def at(site: Site, name: str, path: str = "/") -> str:
    return f"http://{site.host(name)}:{site.port}{path}"


def sign_up(page: Page, site: Site, email: str, query: str = "") -> None:
    """Sign up, and confirm the address by the code in the mail folder."""
    page.goto(at(site, "user", f"/accounts/signup/{query}"))
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password (again)").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    expect(page.locator("main")).to_contain_text(str(site.folder / "mail"))
    page.get_by_label("Code").fill(code_in(text_of(wait_mail(site, email))))
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("link", name="Account", exact=True)).to_be_visible()


def sign_out(page: Page, site: Site, name: str = "user") -> None:
    page.goto(at(site, name, "/accounts/logout/"))
    page.get_by_role("main").get_by_role("button", name="Sign out").click()
    page.wait_for_load_state()


def type_password(page: Page, site: Site, email: str) -> None:
    page.goto(at(site, "user", "/accounts/login/"))
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def plug_in_key(context: BrowserContext, page: Page, **options: Any) -> tuple[Any, str]:
    """Give the page an authenticator, by default one that knows its owner, as a phone does."""
    session = context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    made = session.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
                **options,
            }
        },
    )
    return session, str(made["authenticatorId"])


def test_signing_up_leads_back_to_where_one_came_from(shared_site: Site, page: Page) -> None:
    sign_up(page, shared_site, "next@example.org", "?next=/history/")
    expect(page).to_have_url(at(shared_site, "user", "/history/"))
    page.get_by_role("link", name="New chat").first.click()
    expect(page.get_by_test_id("composer")).to_be_visible()


def test_an_authenticator_app_is_set_up_asked_for_and_switched_off(
    shared_site: Site, page: Page
) -> None:
    email = "app@example.org"
    sign_up(page, shared_site, email)
    page.get_by_role("link", name="Account", exact=True).click()
    page.get_by_role("link", name="Second factor").first.click()
    page.get_by_role("link", name="Set up an app").click()
    assert page.locator("img.qr").evaluate("image => image.naturalWidth") > 0
    page.get_by_text("It can't be scanned").click()
    secret = page.locator("#totp-secret").inner_text()
    page.get_by_label("Authenticator code").fill("000000")
    page.get_by_role("button", name="Switch on").click()
    expect(page.get_by_text("Incorrect code.")).to_be_visible()
    page.get_by_text("It can't be scanned").click()
    assert page.locator("#totp-secret").inner_text() == secret
    page.get_by_label("Authenticator code").fill(totp_code(secret))
    page.get_by_role("button", name="Switch on").click()
    codes = page.get_by_role("list", name="Codes not used yet").get_by_role("listitem")
    expect(codes).to_have_count(10)
    spare = codes.all_inner_texts()
    wait_mail(shared_site, email, "An authenticator app was set up")

    sign_out(page, shared_site)
    type_password(page, shared_site, email)
    page.get_by_label("Code").fill(totp_code(secret))
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_test_id("composer")).to_be_visible()

    sign_out(page, shared_site)
    type_password(page, shared_site, email)
    page.get_by_label("Code").fill(spare[0])
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_test_id("composer")).to_be_visible()
    page.goto(at(shared_site, "user", "/accounts/2fa/"))
    expect(page.get_by_text("9 of 10 are left")).to_be_visible()
    page.get_by_role("link", name="Switch off the app").click()
    page.get_by_role("button", name="Switch off").click()
    sign_out(page, shared_site)
    type_password(page, shared_site, email)
    expect(page.get_by_test_id("composer")).to_be_visible()


def test_a_passkey_signs_in_alone_on_every_site_and_is_a_second_factor(
    site: Site, context: BrowserContext, page: Page
) -> None:
    plug_in_key(context, page)
    sign_in_page(page, site, "superadmin")
    page.goto(at(site, "superadmin", "/accounts/2fa/webauthn/add/"))
    page.get_by_label("A name to tell it by").fill("my phone")
    page.get_by_role("button", name="Add the key").click()
    expect(page.get_by_text("The key is added.")).to_be_visible()
    page.goto(at(site, "superadmin", "/accounts/2fa/webauthn/"))
    expect(page.get_by_role("heading", name="my phone")).to_contain_text("signs in alone")
    for name in ("superadmin", "admin", "user"):
        if name == "superadmin":
            sign_out(page, site, name)
        path = "/router/" if name == "superadmin" else "/"
        page.goto(at(site, name, path if name == "superadmin" else "/accounts/login/"))
        page.get_by_role("button", name="Sign in with a passkey").click()
        expect(page).to_have_url(at(site, name, path))
    sign_out(page, site, "admin")
    page.goto(at(site, "admin"))
    page.get_by_label("Email").fill(f"superadmin@{site.domain}")
    page.get_by_label("Password").fill(site.password("superadmin"))
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("button", name="Use your key").click()
    expect(page.locator("#user-tools")).to_contain_text("superadmin@")


def test_a_plain_security_key_is_a_second_factor_and_what_fails_is_told(
    shared_site: Site, context: BrowserContext, page: Page
) -> None:
    email = "key@example.org"
    session, key = plug_in_key(
        context, page, hasResidentKey=False, hasUserVerification=False, transport="usb"
    )
    sign_up(page, shared_site, email)
    page.goto(at(shared_site, "user", "/accounts/2fa/webauthn/add/"))
    page.get_by_label("Sign in by this key alone").uncheck()
    page.get_by_role("button", name="Add the key").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    page.goto(at(shared_site, "user", "/accounts/2fa/webauthn/add/"))
    page.get_by_label("Sign in by this key alone").uncheck()
    page.get_by_role("button", name="Add the key").click()
    expect(page.get_by_role("alert")).to_have_text("This key is added already.")

    sign_out(page, shared_site)
    type_password(page, shared_site, email)
    session.send("WebAuthn.setUserVerified", {"authenticatorId": key, "isUserVerified": False})
    page.get_by_role("button", name="Use your key").click()
    expect(page.get_by_test_id("composer")).to_be_visible()

    page.goto(at(shared_site, "user", "/accounts/2fa/webauthn/"))
    page.get_by_role("link", name=re.compile("^Rename")).click()
    page.get_by_label("Name").fill("blue key")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Remove blue key").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("You have no key yet.")).to_be_visible()


def test_the_first_sign_in_ends_on_the_page_that_was_wanted(site: Site, page: Page) -> None:
    wanted = at(site, "superadmin", "/accounts/user/?q=superadmin")
    page.goto(wanted)
    page.get_by_label("Email").fill(f"superadmin@{site.domain}")
    page.get_by_label("Password").fill(site.password("superadmin"))
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("link", name="Set up an app").click()
    page.get_by_text("It can't be scanned").click()
    page.get_by_label("Authenticator code").fill(
        totp_code(page.locator("#totp-secret").inner_text())
    )
    page.get_by_role("button", name="Switch on").click()
    page.get_by_role("link", name="I have kept them, go on").click()
    expect(page).to_have_url(wanted)
    expect(page.get_by_role("heading", name="Select user to change")).to_be_visible()


def test_a_session_that_was_ended_elsewhere_is_out(
    shared_site: Site, chromium: Browser, page: Page
) -> None:
    email = "sessions@example.org"
    sign_up(page, shared_site, email)
    elsewhere = chromium.new_context()
    other = elsewhere.new_page()
    type_password(other, shared_site, email)
    expect(other.get_by_test_id("composer")).to_be_visible()
    page.goto(at(shared_site, "user", "/accounts/sessions/"))
    page.get_by_role("button", name=re.compile("^End the session of Chrome")).click()
    expect(page.get_by_text("That session has ended.")).to_be_visible()
    other.reload()
    expect(other.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
    elsewhere.close()


LOOKS = [
    {"viewport": {"width": 390, "height": 800}, "color_scheme": "dark"},
    {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
]
BEFORE = ["login/", "signup/", "password/reset/", "password/reset/done/", "inactive/"]
BEFORE += ["password/reset/key/1-x/", "password/reset/key/done/", "3rdparty/login/cancelled/"]
BEFORE += ["3rdparty/login/error/"]
INSIDE = ["email/", "password/change/", "2fa/", "2fa/totp/activate/", "2fa/webauthn/"]
INSIDE += ["2fa/webauthn/add/", "sessions/", "3rdparty/", "logout/", "reauthenticate/"]
WITH_FACTOR = ["2fa/", "2fa/totp/deactivate/", "2fa/recovery-codes/"]
WITH_FACTOR += ["2fa/recovery-codes/generate/", "2fa/reauthenticate/"]


def look_at(page: Page, url: str = "") -> None:
    """Check the page for what axe finds, and that it is no wider than the screen."""
    if url:
        page.goto(url)
    assert page.viewport_size is not None
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.viewport_size["width"], page.url
    found = Axe().run(page)
    assert found.violations_count == 0, f"{page.url}\n{found.generate_report()}"


@pytest.mark.parametrize("context", LOOKS, indirect=True, ids=["phone, dark", "desk, light"])
def test_every_page_of_an_account_fits_and_is_accessible(
    site: Site, context: BrowserContext, page: Page
) -> None:
    for path in BEFORE:
        look_at(page, at(site, "user", f"/accounts/{path}"))
    look_at(page, at(site, "admin", "/accounts/signup/"))
    sign_up(page, site, "axe@example.org")
    for path in INSIDE:
        look_at(page, at(site, "user", f"/accounts/{path}"))
    for path in ("/account/", "/account/export/", "/account/delete/"):
        look_at(page, at(site, "user", path))
    page.goto(at(site, "user", "/accounts/email/"))
    page.get_by_label("New address").fill("axe2@example.org")
    page.get_by_role("button", name="Change it").click()
    page.get_by_label("Code").fill("WWWW-WWWW")
    with page.expect_navigation():
        page.get_by_role("button", name="Confirm").click()
    look_at(page)
    look_at(page, at(site, "user", "/accounts/email/"))
    page.goto(at(site, "admin"))
    type_at_admin = {"Email": "axe@example.org", "Password": PASSWORD}
    look_at(page)
    for label, text in type_at_admin.items():
        page.get_by_label(label).fill(text)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("This site is for operators")).to_be_visible()
    look_at(page)


@pytest.mark.parametrize("context", LOOKS, indirect=True, ids=["phone, dark", "desk, light"])
def test_every_page_of_second_factors_fits_and_is_accessible(
    site: Site, context: BrowserContext, page: Page
) -> None:
    plug_in_key(context, page)
    sign_in_page(page, site, "superadmin")
    page.goto(at(site, "superadmin", "/accounts/2fa/webauthn/add/"))
    look_at(page)
    page.get_by_role("button", name="Add the key").click()
    expect(page.get_by_text("The key is added.")).to_be_visible()
    for path in (*INSIDE, *WITH_FACTOR):
        look_at(page, at(site, "superadmin", f"/accounts/{path}"))
    page.goto(at(site, "superadmin", "/accounts/2fa/webauthn/"))
    for name in ("Rename", "Remove"):
        with page.expect_navigation():
            page.get_by_role("link", name=re.compile(f"^{name}")).click()
        look_at(page)
        page.go_back()
    page.goto(at(site, "superadmin", "/accounts/2fa/webauthn/reauthenticate/"))
    look_at(page)
    sign_out(page, site, "superadmin")
    page.goto(at(site, "superadmin", "/accounts/login/"))
    page.get_by_label("Email").fill(f"superadmin@{site.domain}")
    page.get_by_label("Password").fill(site.password("superadmin"))
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Now your second factor")).to_be_visible()
    look_at(page)
