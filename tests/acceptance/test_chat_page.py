"""The chat in a real browser: a visitor's first question to a registered user's history."""

import asyncio
import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route, expect

from tests.acceptance.raw import Job, JobWork, RawInstance, raw_instance
from tests.mail import code_in, wait_mail
from tests.mail import text_of as mail_text
from tests.sites import Instance, Site

pytestmark = pytest.mark.browser

LONG_TEXT = " ".join(f"word{number}" for number in range(60))
STORY = [f"word{number} " for number in range(8)] + ["🙂."]
SiteFactory = Callable[..., Site]


@pytest.fixture(scope="module")
def echo_site(_new_site: SiteFactory) -> Iterator[Site]:
    """A site with a slow echo instance, for tests that disturb neither."""
    site = _new_site().start()
    slow_instance(site)
    yield site
    site.close()


def slow_instance(site: Site, delay_ms: int = 60) -> Instance:
    """Start an instance that says a question again, slowly enough to be disturbed."""
    instance = site.start_instance("echo", options=(f"--echo-delay-ms={delay_ms}",))
    return instance.wait_connected()


def ask(page: Page, text: str) -> None:
    page.wait_for_load_state()  # until then a click's page may be without its scripts
    page.get_by_test_id("composer").fill(text)
    page.get_by_test_id("composer").press("Enter")


def answer(page: Page, state: str, nth: int = 0) -> Locator:
    """Return the nth answer, which is in that state."""
    found = page.get_by_test_id("answer").nth(nth)
    expect(found).to_have_attribute("data-state", state, timeout=30_000)
    return found


def text_of(turn: Locator) -> Locator:
    return turn.locator("[data-text]")


def sign_up(page: Page, site: Site) -> None:
    page.get_by_label("Email").fill("reader@example.org")
    page.get_by_label("Password", exact=True).fill("correct-horse-9")
    page.get_by_label("Password (again)").fill("correct-horse-9")
    page.get_by_role("button", name="Create account").click()
    expect(page.locator("main")).to_contain_text(str(site.folder / "mail"))
    page.get_by_label("Code").fill(code_in(mail_text(wait_mail(site, "reader@example.org"))))
    page.get_by_role("button", name="Confirm").click()


def test_visitor_gets_a_readable_answer_from_the_real_model(
    start_site: SiteFactory, page: Page
) -> None:
    site = start_site(demo_limit="10/day")
    site.start_instance("transformers", name="tiny-one").wait_connected()
    page.goto(site.url)
    expect(page.get_by_test_id("remaining")).to_have_text("10 of 10 left today")
    ask(page, "What is MotherFluxer?")
    done = answer(page, "complete")
    expect(text_of(done)).to_have_text(
        "MotherFluxer is a public chat site whose answers come from model instances that anybody"
        " may run. A central router picks the instance that answers you."
    )
    expect(done.get_by_test_id("instance")).to_have_text("tiny-one")
    expect(page.get_by_test_id("remaining")).to_have_text("9 of 10 left today")
    done.get_by_role("link", name="Why this instance?").click()
    expect(page.locator("main")).to_contain_text("tiny-one")


def test_answer_grows_and_survives_a_reload_and_a_second_tab(
    echo_site: Site, context: BrowserContext, page: Page
) -> None:
    page.goto(echo_site.url)
    ask(page, LONG_TEXT)
    running = text_of(answer(page, "running"))
    expect(running).to_have_text(re.compile(r"word3\b"))
    expect(running).not_to_have_text(re.compile("word59"))
    other = context.new_page()
    other.goto(page.url)
    page.reload()
    for one in (page, other):
        expect(text_of(answer(one, "complete"))).to_have_text(LONG_TEXT)
        expect(one.get_by_test_id("composer")).to_have_value("")


def test_composer_stays_where_it_is_while_an_answer_streams(echo_site: Site, page: Page) -> None:
    page.goto(echo_site.url)
    ask(page, LONG_TEXT)
    text = text_of(answer(page, "running"))
    expect(text).to_have_text(re.compile(r"word1\b"))
    before = page.get_by_test_id("composer").bounding_box()
    expect(text).to_have_text(re.compile(r"word40\b"))
    after = page.get_by_test_id("composer").bounding_box()
    assert after == pytest.approx(before, abs=1)


def test_escape_stops_and_what_there_is_stays(echo_site: Site, page: Page) -> None:
    page.goto(echo_site.url)
    ask(page, LONG_TEXT)
    expect(text_of(answer(page, "running"))).to_have_text(re.compile(r"word3\b"))
    page.keyboard.press("Escape")
    said = text_of(answer(page, "stopped")).inner_text()
    assert LONG_TEXT.startswith(said)
    assert said != LONG_TEXT
    expect(page.get_by_test_id("send")).to_be_visible()
    page.reload()
    expect(text_of(answer(page, "stopped"))).to_have_text(said)


def test_shift_enter_makes_a_new_line(echo_site: Site, page: Page) -> None:
    page.goto(echo_site.url)
    composer = page.get_by_test_id("composer")
    composer.press_sequentially("one")
    composer.press("Shift+Enter")
    composer.press_sequentially("two")
    composer.press("Enter")
    assert text_of(answer(page, "complete")).text_content() == "one\ntwo"


@pytest.mark.parametrize("have_come", [True, False], ids=["late", "lost"])
@pytest.mark.parametrize("way", ["Enter", "Send", "example"])
def test_what_is_sent_before_the_scripts_have_come_is_asked(
    echo_site: Site, page: Page, way: str, *, have_come: bool
) -> None:
    held: list[Route] = []
    page.route("**/js/chat.js", lambda route: held.append(route), times=1)
    page.goto(echo_site.url, wait_until="commit")
    composer = page.get_by_test_id("composer")
    if way == "example":
        page.get_by_role("button", name="Tell me a joke").click(no_wait_after=True)
    else:
        composer.fill("early")
        button = composer if way == "Enter" else page.get_by_test_id("send")
        button.press("Enter", no_wait_after=True)
        expect(composer).to_have_value("early")
    expect(page.locator("[data-pressed]")).to_have_count(1)
    [route] = held
    if have_come:
        route.continue_()
    else:
        route.abort()
    said = "Tell me a joke" if way == "example" else "early"
    expect(text_of(answer(page, "complete"))).to_have_text(said)
    expect(page.get_by_test_id("answer")).to_have_count(1)
    expect(composer).to_have_value("")


def test_enter_sends_where_the_scripts_were_lost(echo_site: Site, page: Page) -> None:
    page.route("**/js/chat.js", lambda route: route.abort())
    page.goto(echo_site.url)
    ask(page, "plain")
    expect(text_of(answer(page, "complete"))).to_have_text("plain")


def test_what_is_typed_before_the_scripts_have_come_outlives_an_older_draft(
    echo_site: Site, page: Page
) -> None:
    page.goto(echo_site.url)
    composer = page.get_by_test_id("composer")
    composer.press_sequentially("old")
    held: list[Route] = []
    page.route("**/js/chat.js", lambda route: held.append(route), times=1)
    page.goto(f"{echo_site.url}/?", wait_until="commit")
    composer.fill("new")
    [route] = held
    route.continue_()
    page.wait_for_load_state()
    expect(composer).to_have_value("new")


def test_markup_from_a_model_is_only_text(echo_site: Site, page: Page) -> None:
    page.goto(echo_site.url)
    evil = "<img src=x onerror=alert(1)> <script>alert(2)</script> **bold**"
    ask(page, evil)
    for _ in range(2):
        done = answer(page, "complete")
        expect(text_of(done)).to_have_text(evil)
        expect(done.locator("img, script")).to_have_count(0)
        page.reload()


def test_another_instance_goes_on_when_one_is_killed(site: Site, page: Page) -> None:
    first = slow_instance(site)
    page.goto(site.url)
    ask(page, LONG_TEXT)
    expect(text_of(answer(page, "running"))).to_have_text(re.compile(r"word5\b"))
    first.kill9()
    expect(page.get_by_test_id("place")).to_contain_text("No instance is connected right now.")
    site.start_instance("echo", name="second").wait_connected()
    done = answer(page, "complete")
    assert text_of(done).text_content() == LONG_TEXT
    expect(done.get_by_test_id("instance")).to_have_text("second")
    expect(done).to_contain_text("attempt 2")


def test_without_an_instance_visitors_keep_their_place(site: Site, page: Page) -> None:
    page.goto(site.url)
    ask(page, "Is anybody there?")
    place = page.get_by_test_id("place")
    expect(place).to_have_text(
        "No instance is connected right now. You are number 1 in the queue;"
        " the answer starts as soon as one joins."
    )
    page.reload()
    expect(place).to_contain_text("You are number 1 in the queue")
    slow_instance(site, delay_ms=0)
    expect(text_of(answer(page, "complete"))).to_have_text("Is anybody there?")
    expect(place).to_be_hidden()


def test_answer_of_a_killed_site_goes_on_or_is_said_to_be_interrupted(
    site: Site, page: Page
) -> None:
    slow_instance(site)
    page.goto(site.url)
    ask(page, LONG_TEXT)
    expect(text_of(answer(page, "running"))).to_have_text(re.compile(r"word3\b"))
    assert site.program is not None
    site.program.kill9()
    site.start()
    if "REDIS_URL" in site.env:  # all of it is in Redis: the next process goes on
        whole = text_of(answer(page, "complete"))
        expect(whole).to_have_text(LONG_TEXT, timeout=60_000)
        return
    failed = answer(page, "failed")
    expect(failed.get_by_test_id("failure")).to_contain_text("interrupted")
    failed.get_by_role("button", name="Ask again").click()
    expect(page.get_by_test_id("composer")).to_have_value(LONG_TEXT)


def test_stream_that_breaks_goes_on_and_says_so_only_after_a_while(
    echo_site: Site, page: Page
) -> None:
    asked: list[str] = []
    is_back = False

    def carry(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:  # a process that stops: the stream ends without its last event
            first = 'id: 5\nevent: text\ndata: "word0"\n\n'
            route.fulfill(status=200, content_type="text/event-stream", body=first)
        elif is_back:
            route.continue_()
        elif len(asked) % 2:
            route.fulfill(status=502, content_type="text/html", body="Bad gateway")
        else:
            route.abort("connectionrefused")

    page.route("**/chat/streams/*", carry)
    page.goto(echo_site.url)
    ask(page, LONG_TEXT)
    running = answer(page, "running")
    expect(text_of(running)).to_have_text("word0")
    expect(running.get_by_text("Reconnecting …")).to_be_visible()
    assert len(asked) > 3
    assert all(url.endswith("?from=5") for url in asked[1:])
    is_back = True
    done = answer(page, "complete")
    expect(text_of(done)).to_have_text(LONG_TEXT)
    expect(done.get_by_text("Reconnecting …")).to_be_hidden()


def test_limit_leads_to_an_account_that_keeps_all_and_has_no_limit(
    start_site: SiteFactory, page: Page
) -> None:
    site = start_site(demo_limit="2/day")
    slow_instance(site, delay_ms=0)
    page.goto(site.url)
    for nth, question in enumerate(("one", "two")):
        ask(page, question)
        answer(page, "complete", nth)
    ask(page, "three")
    expect(page.get_by_role("alert")).to_contain_text("You have used your 2 free answers for today")
    expect(page.get_by_test_id("composer")).to_have_value("three")
    expect(page.get_by_test_id("remaining")).to_have_text("0 of 2 left today")
    page.get_by_role("link", name="Create a free account").click()
    sign_up(page, site)
    page.get_by_role("button", name="Keep 1 conversation").click()
    expect(text_of(answer(page, "complete", 1))).to_have_text("two")
    expect(page.get_by_test_id("composer")).to_have_value("three")
    expect(page.get_by_test_id("composer")).to_be_focused()
    expect(page.get_by_test_id("remaining")).to_have_count(0)
    for nth, question in enumerate(("three", "four", "five"), 2):
        ask(page, question)
        expect(text_of(answer(page, "complete", nth))).to_have_text(question)
    page.get_by_role("link", name="History", exact=True).click()
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete “one”").click()
    expect(page.get_by_text("Nothing yet.")).to_be_visible()


def test_registered_user_signs_out_and_in_again(site: Site, page: Page) -> None:
    page.goto(f"http://{site.host('user')}:{site.port}/accounts/signup/")
    expect(page.locator("main")).to_contain_text(str(site.folder / "mail"))
    sign_up(page, site)
    page.get_by_role("link", name="Account").click()
    page.get_by_role("link", name="Sign out").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Email").fill("reader@example.org")
    page.get_by_label("Password").fill("correct-horse-9")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_test_id("composer")).to_be_visible()


def test_page_works_without_scripts(echo_site: Site, chromium: Browser) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(echo_site.url)
    expect(page.get_by_text("Enter sends")).to_be_hidden()
    page.get_by_test_id("composer").fill("plain")
    page.get_by_test_id("send").click()
    expect(text_of(answer(page, "complete"))).to_have_text("plain")
    page.goto(echo_site.url)
    page.get_by_role("button", name="Tell me a joke").click()
    expect(text_of(answer(page, "complete"))).to_have_text("Tell me a joke")
    context.close()


@pytest.mark.parametrize("has_scripts", [True, False])
def test_answer_that_was_cut_says_so_and_is_gone_on_with(
    start_site: SiteFactory, chromium: Browser, *, has_scripts: bool
) -> None:
    site = start_site(demo_limit="5/day", env={"DEMO_ANSWER_TOKENS": "3"})
    slow_instance(site, delay_ms=0)
    context = chromium.new_context(java_script_enabled=has_scripts)
    page = context.new_page()
    page.goto(site.url)
    page.get_by_test_id("composer").fill("one two three four five")
    page.get_by_test_id("send").click()
    done = answer(page, "complete")
    if has_scripts:
        page.get_by_test_id("composer").press_sequentially("mine")
        page.keyboard.press("Shift+Tab")  # from the composer: "Why this instance?"
        page.keyboard.press("Shift+Tab")  # the way to an account
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Enter")
        expect(text_of(answer(page, "complete", 1))).to_have_text("Go on.")
        expect(page.get_by_test_id("composer")).to_have_value("mine")
        expect(page.get_by_test_id("composer")).to_be_focused()
        expect(page.get_by_role("button", name="Ask it to go on")).to_be_hidden()
        page.reload()
    for _ in range(2):
        expect(text_of(done)).to_have_text("one two three")
        expect(done.get_by_test_id("cut")).to_contain_text("it has reached the limit for visitors")
        page.reload()
    if not has_scripts:
        page.get_by_role("button", name="Ask it to go on").click()
        expect(text_of(answer(page, "complete", 1))).to_have_text("Go on.")
    expect(done.get_by_role("link", name="Sign up for longer answers")).to_be_hidden()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_pages_fit_and_are_accessible(
    shared_site: Site, chromium: Browser, scheme: str, width: int
) -> None:
    context = chromium.new_context(
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": width, "height": 800},
    )
    page = context.new_page()
    user = f"http://{shared_site.host('user')}:{shared_site.port}"
    for url in (shared_site.url, f"{user}/accounts/signup/", f"{user}/accounts/login/"):
        page.goto(url)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    context.close()


def test_conversation_with_everything_in_it_is_accessible(echo_site: Site, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(echo_site.url)
    ask(page, "x" * 400)
    done = answer(page, "complete")
    why = done.get_by_role("link", name="Why this instance?").get_attribute("href")
    for url in ("", f"{echo_site.url}{why}", f"{echo_site.url}/status"):
        if url:
            page.goto(url)
            page.get_by_text("What the states mean").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()


@contextlib.contextmanager
def scripted_instance(
    site: Site, work: JobWork, *, can_continue: bool = True
) -> Iterator[RawInstance]:
    """Connect an instance that does what the test says, in an event loop of its own."""
    credential = site.issue_credential("scripted")

    async def live() -> None:
        async with raw_instance(
            site.port, credential, "scripted", work=work, can_continue=can_continue
        ) as instance:
            connected.set_result(instance)
            await asyncio.to_thread(may_end.wait)

    connected: Future[RawInstance] = Future()
    may_end = threading.Event()
    thread = threading.Thread(target=asyncio.run, args=(live(),), daemon=True)
    thread.start()
    try:
        yield connected.result(timeout=30)
    finally:
        may_end.set()
        thread.join(30)


async def break_off_then_go_on(instance: RawInstance, job: Job) -> None:
    """Fail a fresh answer after three tokens; finish one that has begun."""
    if job["prefix"]:
        await instance.echo(job, STORY, delay_s=0.05)
        return
    for seq, token in enumerate(STORY[:3]):
        await instance.chunk(job, seq, token)
    await instance.fail(job, "engine_error", seq=3)


@pytest.mark.parametrize("has_scripts", [True, False])
def test_broken_off_answer_goes_on_from_where_it_stopped(
    start_site: SiteFactory, chromium: Browser, *, has_scripts: bool
) -> None:
    site = start_site(demo_limit="5/day")
    context = chromium.new_context(java_script_enabled=has_scripts)
    page = context.new_page()
    page.goto(site.url)
    with scripted_instance(site, break_off_then_go_on):
        page.get_by_test_id("composer").fill("Tell me a story.")
        page.get_by_test_id("send").click()
        failed = answer(page, "failed")
        assert text_of(failed).text_content() == "".join(STORY[:3])
        expect(failed.get_by_test_id("failure")).to_contain_text("What has come is kept")
        why = failed.get_by_role("link", name="Why this instance?").get_attribute("href")
        [tried] = site.get(f"{why}.json").json()["attempts"]
        assert (tried["ended"]["outcome"], tried["ended"]["tokens"]) == ("failed", 3)
        page.reload()
        expect(page.get_by_test_id("remaining")).to_have_text("5 of 5 left today")
        failed.get_by_role("button", name="Continue").press("Enter")
        whole = answer(page, "complete")
        if has_scripts:
            expect(page.get_by_test_id("composer")).to_be_focused()
        for _ in range(2):
            assert text_of(whole).text_content() == "".join(STORY)
            expect(whole.get_by_test_id("failure")).to_be_hidden()
            expect(whole.get_by_role("button", name="Continue")).to_be_hidden()
            page.reload()
        expect(page.get_by_test_id("remaining")).to_have_text("4 of 5 left today")
        expect(page.get_by_test_id("answer")).to_have_count(1)
    context.close()


def test_continuing_is_offered_again_where_nobody_connected_can(site: Site, page: Page) -> None:
    page.goto(site.url)
    with scripted_instance(site, break_off_then_go_on, can_continue=False):
        ask(page, "Tell me a story.")
        failed = answer(page, "failed")
        go_on = failed.get_by_role("button", name="Continue")
        go_on.click()
        expect(page.get_by_role("alert")).to_contain_text("No connected instance can go on")
        expect(page.get_by_test_id("composer")).to_have_value("")
        assert text_of(answer(page, "failed")).text_content() == "".join(STORY[:3])
        expect(go_on).to_be_visible()


def test_waiting_reader_sees_place_and_expected_wait(site: Site, chromium: Browser) -> None:
    site.start_instance("echo", slots=1, options=("--echo-delay-ms=40",)).wait_connected()
    contexts = [chromium.new_context() for _ in range(3)]
    first, second, third = (context.new_page() for context in contexts)
    for visitor in (first, second, third):
        visitor.goto(site.url)
    ask(first, "short one, to learn how long an answer takes")
    answer(first, "complete")
    ask(first, LONG_TEXT * 2)
    expect(text_of(answer(first, "running", 1))).to_have_text(re.compile(r"word1\b"))
    ask(second, "two")
    expect(second.get_by_test_id("place")).to_have_text(re.compile(r"^You are next · "))
    ask(third, "three")
    place = third.get_by_test_id("place")
    expect(place).to_have_text(re.compile(r"^Place 2 of 2 · (a few|about \d+) seconds$"))
    third.reload()
    expect(place).to_have_text(re.compile(r"^Place 2 of 2 · "))
    expect(text_of(answer(third, "complete"))).to_have_text("three")
    for context in contexts:
        context.close()
