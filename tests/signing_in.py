"""Signs the first operator and superadmin in as they do it: a password, then a second factor.

The first time an account signs in its factor is set up, an authenticator app; later times use up
the recovery codes, since a code of the app is good once and the next comes in half a minute.
"""

import base64
import hashlib
import hmac
import html
import re
import struct
import time
from collections.abc import Callable

import httpx
from playwright.sync_api import Page, expect

from tests.sites import Site

SITE_OF_ROLE = {"operator": "admin", "superadmin": "superadmin"}


def totp_code(secret: str) -> str:
    """Return what an authenticator app shows now (RFC 6238)."""
    key = base64.b32decode(secret)
    digest = hmac.new(key, struct.pack(">Q", int(time.time()) // 30), hashlib.sha1).digest()
    start = digest[-1] & 0x0F
    (value,) = struct.unpack(">I", digest[start : start + 4])
    return f"{(value & 0x7FFFFFFF) % 1_000_000:06}"


def signed_in(site: Site, role: str) -> httpx.Client:
    """Return an HTTP client that is signed in at the role's own site."""
    host = f"{site.host(SITE_OF_ROLE[role])}:{site.port}"
    client = httpx.Client(
        base_url=site.url, headers={"Host": host}, trust_env=False, follow_redirects=True
    )
    form = {"login": f"{role}@{site.domain}", "password": site.password(role)}
    page = _send(client, "/accounts/login/", form)
    if role in site.recovery_codes:
        page = _send(
            client, "/accounts/2fa/authenticate/", {"code": site.recovery_codes[role].pop()}
        )
    else:
        page = _send(client, "/accounts/2fa/totp/activate/", {}, code_from=_shown_code)
        site.recovery_codes[role] = re.findall(r"<li><code>(\d{8})</code>", page.text)
    inside = client.get("/", follow_redirects=False)
    assert inside.status_code == 200, page.text
    client.follow_redirects = False
    return client


def _shown_code(page: str) -> str:
    """Return the code for the secret that a page shows; each page shows another."""
    secret = re.search(r'id="totp-secret">([A-Z2-7]+)<', page)
    assert secret, page
    return totp_code(secret[1])


def _send(
    client: httpx.Client,
    path: str,
    form: dict[str, str],
    code_from: Callable[[str], str] | None = None,
) -> httpx.Response:
    """Send a form of the page at that path, with a code that can be read there."""
    page = client.get(path).text
    if code_from is not None:
        form = {**form, "code": code_from(page)}
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token, page
    return client.post(path, data={**form, "csrfmiddlewaretoken": html.unescape(token[1])})


def sign_in_page(page: Page, site: Site, role: str) -> None:
    """Sign in in a browser, at the role's own site; it ends on that site's first page."""
    page.goto(f"http://{site.host(SITE_OF_ROLE[role])}:{site.port}/")
    page.get_by_label("Email").fill(f"{role}@{site.domain}")
    page.get_by_label("Password").fill(site.password(role))
    page.get_by_role("button", name="Sign in", exact=True).click()
    if role in site.recovery_codes:
        page.get_by_label("Code").fill(site.recovery_codes[role].pop())
        page.get_by_role("button", name="Sign in", exact=True).click()
    else:
        page.get_by_role("link", name="Set up an app").click()
        page.get_by_text("It can't be scanned").click()
        secret = page.locator("#totp-secret").inner_text()
        page.get_by_label("Authenticator code").fill(totp_code(secret))
        page.get_by_role("button", name="Switch on").click()
        codes = page.get_by_role("list", name="Codes not used yet").get_by_role("listitem")
        site.recovery_codes[role] = codes.all_inner_texts()
        page.get_by_role("link", name="I have kept them, go on").click()
    expect(page.locator("#user-tools")).to_contain_text(f"{role}@{site.domain}")
