"""What a visitor sees of the limit in a real browser: what is left, the proof, what is kept."""

import re
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, expect

from tests.acceptance.test_chat_page import answer, ask, sign_up, slow_instance, text_of
from tests.sites import Site

pytestmark = pytest.mark.browser

SiteFactory = Callable[..., Site]
CLOCK = r"(at|tomorrow at) \d{1,2}:\d\d"


def left(page: Page, words: str) -> None:
    expect(page.get_by_test_id("remaining")).to_have_text(words)


def test_what_is_left_and_when_it_comes_back_is_always_said(
    start_site: SiteFactory, page: Page
) -> None:
    site = start_site(demo_limit="2/day")
    slow_instance(site, delay_ms=0)
    page.goto(site.url)
    left(page, "2 of 2 left today")
    expect(page.get_by_test_id("allowance")).to_have_text("2 of 2 left today")
    for nth, words in enumerate(("1 of 2 left today", "0 of 2 left today")):
        ask(page, "Hello?")
        answer(page, "complete", nth)
        left(page, words)
        expected = re.compile(f"^{words}; the next comes back {CLOCK}")
        expect(page.get_by_test_id("allowance")).to_have_text(expected)
    expect(page.get_by_role("link", name="Sign up to go on without a limit")).to_be_visible()
    page.reload()
    left(page, "0 of 2 left today")
    expect(page.get_by_test_id("allowance")).to_have_text(re.compile(CLOCK))


def test_nearer_limit_of_the_address_is_the_one_that_is_said(
    start_site: SiteFactory, page: Page
) -> None:
    site = start_site(env={"DEMO_ADDRESS_LIMIT": "3/hour"})
    slow_instance(site, delay_ms=0)
    page.goto(site.url)
    ask(page, "Hello?")
    answer(page, "complete")
    left(page, "2 of 3 left this hour for your network")


def test_refused_question_survives_reloads_and_other_pages(
    start_site: SiteFactory, page: Page
) -> None:
    site = start_site(demo_limit="1/day")
    slow_instance(site, delay_ms=0)
    page.goto(site.url)
    ask(page, "one")
    answer(page, "complete")
    ask(page, "two <b>")
    expect(page.get_by_role("alert")).to_contain_text("Your text is kept.")
    for _ in range(2):
        page.reload()
        expect(page.get_by_test_id("composer")).to_have_value("two <b>")
    page.get_by_role("link", name="Status").click()
    page.goto(site.url)
    expect(page.get_by_test_id("composer")).to_have_value("two <b>")


def test_without_scripts_a_refused_question_is_kept_with_its_conversation(
    start_site: SiteFactory, chromium: Browser
) -> None:
    site = start_site(demo_limit="1/day")
    slow_instance(site, delay_ms=0)
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site.url)
    conversation = ""
    for question in ("one", "two"):
        page.get_by_test_id("composer").fill(question)
        page.get_by_test_id("send").click()
        answer(page, "complete")
        conversation = conversation or page.url
    expect(page.get_by_role("alert")).to_contain_text("Your text is kept.")
    expect(page.get_by_test_id("composer")).to_have_value("two")
    expect(page.get_by_test_id("allowance")).to_contain_text("the next comes back in 24 hours")
    page.reload()
    expect(page.get_by_test_id("composer")).to_have_value("two")
    page.goto(conversation)
    expect(page.get_by_test_id("composer")).to_have_value("two")
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_proof_of_work_is_done_by_the_page_itself(
    start_site: SiteFactory, chromium: Browser, scheme: str
) -> None:
    site = start_site(demo_limit="5/day", env={"DEMO_PROOF_AFTER": "1"})
    slow_instance(site, delay_ms=0)
    context = chromium.new_context(
        color_scheme="dark" if scheme == "dark" else "light", viewport={"width": 390, "height": 800}
    )
    page = context.new_page()
    # Plain http: what a browser has of its own for this is not there, and is not needed.
    page.goto(f"http://{site.host()}:{site.port}/")
    ask(page, "one")
    answer(page, "complete")
    expect(page.get_by_test_id("checking")).to_be_hidden()
    for nth, question in enumerate(("two", "three"), 1):
        ask(page, question)
        expect(text_of(answer(page, "complete", nth))).to_have_text(question)
        expect(page.get_by_test_id("checking")).to_be_hidden()
    left(page, "2 of 5 left today")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    context.close()


def test_proof_can_be_stopped_and_keeps_the_text(start_site: SiteFactory, page: Page) -> None:
    site = start_site(demo_limit="5/day", env={"DEMO_PROOF_AFTER": "0"})
    slow_instance(site, delay_ms=0)
    # A worker that never comes to an end.
    page.route("**/proof-worker.js", lambda route: route.fulfill(content_type="text/javascript"))
    page.goto(site.url)
    ask(page, "one")
    checking = page.get_by_test_id("checking")
    expect(checking).to_be_visible()
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.keyboard.press("Escape")
    expect(checking).to_be_hidden()
    expect(page.get_by_test_id("composer")).to_have_value("one")
    expect(page.get_by_test_id("send")).to_be_visible()
    page.unroute("**/proof-worker.js")
    page.get_by_test_id("send").click()
    expect(text_of(answer(page, "complete"))).to_have_text("one")
    left(page, "4 of 5 left today")


@pytest.mark.parametrize("way", ["header", "foot"])
def test_who_has_an_account_keeps_what_was_asked_and_typed_by_signing_in(
    start_site: SiteFactory, page: Page, way: str
) -> None:
    site = start_site(demo_limit="1/day")
    slow_instance(site, delay_ms=0)
    user = f"http://{site.host('user')}:{site.port}"
    page.goto(f"{user}/accounts/signup/")
    sign_up(page, site)
    expect(page.get_by_test_id("composer")).to_be_visible()
    page.goto(f"{user}/accounts/logout/")
    page.get_by_role("button", name="Sign Out").click()
    page.goto(f"http://{site.host()}:{site.port}/")
    expect(page.get_by_role("link", name="Sign up to keep this conversation")).to_be_hidden()
    ask(page, "one")
    answer(page, "complete")
    ask(page, "two")
    expect(page.get_by_role("alert")).to_be_visible()
    if way == "header":
        page.get_by_role("banner").get_by_role("link", name="Sign in", exact=True).click()
    else:
        page.get_by_role("link", name="Sign up to keep this conversation").click()
        page.get_by_role("main").get_by_role("link", name="Sign in", exact=True).click()
    page.get_by_label("Email").fill("reader@example.org")
    page.get_by_label("Password").fill("correct-horse-9")
    page.get_by_role("main").get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_test_id("to-keep")).to_have_text("one")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.get_by_test_id("keep").click()
    expect(text_of(answer(page, "complete"))).to_have_text("one")
    expect(page.get_by_test_id("composer")).to_have_value("two")
    page.go_back()
    page.reload()
    expect(page.get_by_role("heading", name="There is nothing to keep")).to_be_visible()
    page.goto(f"http://{site.host()}:{site.port}/chat/keep")
    expect(page.get_by_test_id("composer")).to_be_visible()
