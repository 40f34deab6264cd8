"""An operator's account deleted on a real site: its instance is cut off, and comes back with it."""

import html
import re

import httpx

from tests.sites import Site, wait_until


def _browser(site: Site) -> httpx.Client:
    headers = {"Host": f"{site.host('user')}:{site.port}"}
    return httpx.Client(base_url=site.url, headers=headers, trust_env=False)


def _send(
    browser: httpx.Client, page: str, form: dict[str, str], *, to: str = ""
) -> httpx.Response:
    """Send a form with the token of the page that it is on."""
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', browser.get(page).text)
    assert token, page
    return browser.post(to or page, data={**form, "csrfmiddlewaretoken": html.unescape(token[1])})


def _is_answering(site: Site) -> bool:
    return site.get("/readyz").status == 200


def test_who_asks_to_be_deleted_is_cut_off_and_let_in_again_on_coming_back(site: Site) -> None:
    instance = site.start_instance("echo").wait_connected()
    wait_until(lambda: _is_answering(site), "the instance answers")
    with _browser(site) as browser:
        password = site.password("operator")
        login = {"login": f"operator@{site.domain}", "password": password}
        assert _send(browser, "/accounts/login/", login).status_code == 302
        gone = _send(browser, "/account/delete/", {})
        assert gone.headers["Location"] == "/account/delete/", gone.text
        wait_until(lambda: not _is_answering(site), "the instance is cut off")
        wait_until(lambda: not instance.is_running or not instance.is_connected, "it has heard so")
        kept = _send(browser, "/account/delete/", {}, to="/account/delete/keep/")
        assert kept.status_code == 302
    site.start_instance("echo", name="again").wait_connected()
    wait_until(lambda: _is_answering(site), "another instance of theirs answers")
