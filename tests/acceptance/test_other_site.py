"""Signing in by another site that an installation has configured: a real flow, a made-up site."""

import json
import os
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import cast
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.acceptance.conftest import SiteFactory
from tests.mail import code_in, text_of, wait_mail
from tests.sites import Site

pytestmark = pytest.mark.browser

ADDRESS = "member@club.example"


class Club(BaseHTTPRequestHandler):
    """An OpenID Connect site that says of everybody the same."""

    person = {"sub": "42", "email": ADDRESS, "email_verified": True}
    is_refusing = False

    def do_GET(self) -> None:
        """Tell where what is, send people back, and say who they are."""
        parts = urlsplit(self.path)
        own = f"http://127.0.0.1:{cast(HTTPServer, self.server).server_port}"
        if parts.path == "/.well-known/openid-configuration":
            self._say(
                {
                    "issuer": own,
                    "authorization_endpoint": f"{own}/authorize",
                    "token_endpoint": f"{own}/token",
                    "userinfo_endpoint": f"{own}/userinfo",
                }
            )
        elif parts.path == "/authorize":
            asked = parse_qs(parts.query)
            answer = "error=access_denied" if type(self).is_refusing else "code=c"
            self.send_response(302)
            back = f"{asked['redirect_uri'][0]}?{answer}&state={asked['state'][0]}"
            self.send_header("Location", back)
            self.end_headers()
        else:
            self._say(self.person)

    def do_POST(self) -> None:
        """Give a token."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self._say({"access_token": "t", "token_type": "Bearer"})

    def _say(self, what: object) -> None:
        body = json.dumps(what).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Be quiet."""


@pytest.fixture
def club_url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Club)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    Club.is_refusing = False
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def club_site(start_site: SiteFactory, club_url: str) -> Site:
    app = {"provider_id": "club", "name": "The club", "client_id": "x", "secret": "y"}
    providers = {"openid_connect": {**app, "settings": {"server_url": club_url}}}
    return start_site(env={"SOCIAL_PROVIDERS": json.dumps(providers)})


@pytest.fixture
def page() -> Iterator[Page]:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(20_000)
        yield page
        browser.close()


def _login(page: Page, site: Site, name: str = "user") -> None:
    page.goto(f"http://{site.host(name)}:{site.port}/accounts/login/?next=/history/")
    page.get_by_role("button", name="Sign in by The club").click()


def _sign_out(page: Page, site: Site) -> None:
    page.goto(f"http://{site.host('user')}:{site.port}/accounts/logout/")
    button = page.get_by_role("main").get_by_role("button", name="Sign out")
    button.click()
    expect(button).to_have_count(0)


def test_a_member_signs_up_in_and_takes_it_away_again(club_site: Site, page: Page) -> None:
    user = f"http://{club_site.host('user')}:{club_site.port}"
    _login(page, club_site)
    expect(page).to_have_url(f"{user}/history/")
    _sign_out(page, club_site)
    _login(page, club_site)
    expect(page).to_have_url(f"{user}/history/")

    page.goto(f"{user}/account/")
    expect(page.get_by_text(ADDRESS)).to_be_visible()
    page.get_by_role("link", name="Password").last.click()
    page.get_by_label("Password", exact=True).fill("correct-horse-9")
    page.get_by_label("Password (again)").fill("correct-horse-9")
    page.get_by_role("button", name="Set password").click()
    page.goto(f"{user}/accounts/3rdparty/")
    page.get_by_role("radio").check()
    page.get_by_role("button", name="Remove the chosen one").click()
    page.get_by_label("Password").fill("correct-horse-9")
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_text("by this site's own means alone")).to_be_visible()
    wait_mail(club_site, ADDRESS, "A way to sign in was removed")
    page.get_by_role("button", name="Add The club").click()
    expect(page.get_by_role("radio")).to_have_count(1)


def test_an_address_that_has_an_account_is_not_taken_over(club_site: Site, page: Page) -> None:
    user = f"http://{club_site.host('user')}:{club_site.port}"
    page.goto(f"{user}/accounts/signup/")
    page.get_by_label("Email").fill(ADDRESS)
    page.get_by_label("Password", exact=True).fill("correct-horse-9")
    page.get_by_label("Password (again)").fill("correct-horse-9")
    page.get_by_role("button", name="Create account").click()
    page.get_by_label("Code").fill(code_in(text_of(wait_mail(club_site, ADDRESS))))
    page.get_by_role("button", name="Confirm").click()
    _sign_out(page, club_site)
    _login(page, club_site)
    # Its owner would be told by mail, but had one a moment ago.
    expect(page.get_by_role("heading", name="Too many attempts")).to_be_visible()
    page.goto(f"{user}/account/")
    expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()


def test_who_cancels_there_is_led_back_and_the_closed_sites_make_no_account(
    club_site: Site, page: Page
) -> None:
    _login(page, club_site, "admin")
    expect(page.get_by_text("Accounts are made on the users")).to_be_visible()
    Club.is_refusing = True
    _login(page, club_site)
    expect(page.get_by_role("heading", name="Not signed in")).to_be_visible()
