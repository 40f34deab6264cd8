"""Whether an address is known here is told by nothing: words, cookies, mails, hashes, queries."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import MD5PasswordHasher, make_password
from django.core import mail
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts import background
from apps.accounts.conf import CONF
from apps.accounts.guarding.even_time import wait_s
from apps.accounts.guarding.ladder import ACCOUNT
from apps.accounts.leaving.services import accounts_delete_due
from apps.accounts.models import User
from apps.accounts.tasks import delete_due
from tests.clients import SiteClient

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
KNOWN = "known@example.org"
UNKNOWN = "other@example.org"
PAGES = {
    "/accounts/login/": lambda address: {"login": address, "password": "wrong horse"},
    "/accounts/password/reset/": lambda address: {"email": address},
    "/accounts/signup/": lambda address: {
        "email": address,
        "password1": PASSWORD,
        "password2": PASSWORD,
    },
}
ALL_PAGES = pytest.mark.parametrize("path", PAGES)


@pytest.fixture(autouse=True)
def known() -> Iterator[User]:
    user = User.objects.create_user(KNOWN, PASSWORD)
    EmailAddress.objects.create(user=user, email=KNOWN, verified=True, primary=True)
    yield user
    cache.clear()


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every password that is hashed, in order."""
    seen: list[str] = []
    encode = MD5PasswordHasher.encode

    def counted(self: MD5PasswordHasher, password: str, salt: str) -> str:
        seen.append(password)
        return encode(self, password, salt)

    monkeypatch.setattr(MD5PasswordHasher, "encode", counted)
    return seen


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """What is put off until the page is answered."""
    put_off: list[Callable[[], object]] = []
    for name in ("adapter", "forms"):
        monkeypatch.setattr(f"apps.accounts.guarding.{name}.in_background", put_off.append)
    return put_off


@dataclass(frozen=True)
class Seen:
    """What a stranger sees of a page and of the page that it leads to."""

    status: int
    location: str
    cookies: tuple[str, ...]
    words: str


def _send(path: str, address: str) -> Seen:
    browser = SiteClient("user")
    browser.get(path)
    answer: Any = browser.post(path, PAGES[path](address))
    location = answer.headers.get("Location", "")
    page = browser.get(location) if location else answer
    return Seen(
        answer.status_code,
        location,
        tuple(sorted(browser.cookies)),
        _plain(page.content.decode(), address),
    )


def _plain(page: str, address: str) -> str:
    """Return a page without what is new in each."""
    page = re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"', "", page)
    return page.replace(address, "ADDRESS")


@ALL_PAGES
def test_the_pages_are_the_same(path: str) -> None:
    assert _send(path, KNOWN) == _send(path, UNKNOWN)


LONG_AFTER = CONF.unverified_kept_s + 1


def _sign_up(address: str) -> None:
    _send("/accounts/signup/", address)


@pytest.mark.parametrize("is_limited", [True, False])
@pytest.mark.parametrize("password", [PASSWORD, "another password"])
def test_signing_in_as_one_has_just_signed_up_tells_nothing(
    password: str, is_limited: bool, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    if not is_limited:
        settings.ACCOUNT_RATE_LIMITS = False
    monkeypatch.setitem(
        PAGES, "/accounts/login/", lambda address: {"login": address, "password": password}
    )
    User.objects.filter(email=KNOWN).update(password=make_password("the owner's own"))
    seen = []
    for address in (KNOWN, UNKNOWN):
        _sign_up(address)
        seen.append(_send("/accounts/login/", address))
    assert seen[0] == seen[1]
    leads_on = password == PASSWORD and not is_limited
    assert seen[0].location == ("/accounts/confirm-email/" if leads_on else "")


def test_guesses_after_a_sign_up_are_counted_alike() -> None:
    for address in (KNOWN, UNKNOWN):
        _sign_up(address)
        pages = [_send("/accounts/login/", address).words for _ in range(ACCOUNT.free_count)]
        assert "Too many wrong tries" not in "".join(pages)
        assert "Too many wrong tries" in _send("/accounts/login/", address).words


def test_a_sign_up_that_is_not_finished_counts_no_more_after_a_day() -> None:
    _sign_up(UNKNOWN)
    now = timezone.now()
    accounts_delete_due(now=now)
    assert User.objects.filter(email=UNKNOWN).exists()
    earlier = now - timedelta(seconds=LONG_AFTER)
    User.objects.filter(email=UNKNOWN).update(unfinished_since=earlier)
    assert authenticate(email=UNKNOWN, password=PASSWORD) is None
    accounts_delete_due(now=now)
    assert list(User.objects.values_list("email", flat=True)) == [KNOWN]


def test_who_has_come_in_stays() -> None:
    _sign_up(UNKNOWN)
    user = User.objects.get(email=UNKNOWN)
    assert user.unfinished_since is not None
    SiteClient("user").force_login(user)
    accounts_delete_due(now=timezone.now() + timedelta(seconds=LONG_AFTER))
    assert User.objects.filter(email=UNKNOWN, unfinished_since=None).exists()


@ALL_PAGES
def test_as_many_passwords_are_hashed(path: str, hashes: list[str]) -> None:
    counts = []
    for address in (KNOWN, UNKNOWN):
        hashes.clear()
        _send(path, address)
        counts.append(len(hashes))
    assert counts[0] == counts[1] == (0 if "reset" in path else 1)


@ALL_PAGES
def test_as_many_mails_are_sent_and_none_before_the_answer(
    path: str, jobs: list[Callable[[], object]]
) -> None:
    sent = []
    for address in (KNOWN, UNKNOWN):
        mail.outbox.clear()
        jobs.clear()
        _send(path, address)
        assert mail.outbox == []
        sent.append(len(jobs))
    assert sent[0] == sent[1] == (0 if "login" in path else 1)


@pytest.mark.parametrize("path", ["/accounts/login/", "/accounts/password/reset/"])
def test_as_many_queries_are_made_before_the_answer(
    path: str, jobs: list[Callable[[], object]]
) -> None:
    counts = []
    for address in (KNOWN, UNKNOWN):
        with CaptureQueriesContext(connection) as queries:
            _send(path, address)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_a_sign_up_writes_as_much_and_what_stands_for_nobody_goes(
    jobs: list[Callable[[], object]],
) -> None:
    writes = []
    for address in (KNOWN, UNKNOWN):
        with CaptureQueriesContext(connection) as queries:
            _send("/accounts/signup/", address)
        verbs = [query["sql"].split()[:3] for query in queries.captured_queries]
        writes.append([verb for verb in verbs if verb[0] in ("INSERT", "UPDATE")])
    assert writes[0] == writes[1]
    assert ["INSERT", "INTO", '"accounts_user"'] in writes[0]
    assert User.objects.count() == 3
    delete_due()
    assert set(User.objects.values_list("email", flat=True)) == {KNOWN, UNKNOWN}


@pytest.mark.parametrize("address", [KNOWN, UNKNOWN])
def test_nobody_is_flooded_with_mails_for_a_forgotten_password(address: str) -> None:
    statuses = []
    for sender in range(7):
        browser = SiteClient("user")
        form = {"email": address}
        at = f"198.51.100.{sender}"
        answer = browser.post("/accounts/password/reset/", form, REMOTE_ADDR=at)
        statuses.append(answer.status_code)
    assert statuses == [302] * 5 + [429] * 2
    assert len(mail.outbox) == 5


@pytest.mark.parametrize("address", [KNOWN, UNKNOWN])
def test_a_code_of_a_sign_up_can_be_guessed_three_times(address: str) -> None:
    browser = SiteClient("user")
    browser.post("/accounts/signup/", PAGES["/accounts/signup/"](address))
    answers: list[Any] = [
        browser.post("/accounts/confirm-email/", {"code": "AAAA-AAAA"}) for _ in range(4)
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 302, 302]
    assert {answer.headers["Location"] for answer in answers[2:]} == {"/accounts/login/"}


def test_an_account_without_a_password_costs_a_hash_as_well(hashes: list[str]) -> None:
    User.objects.create_user("social@example.org")
    hashes.clear()
    _send("/accounts/login/", "social@example.org")
    assert len(hashes) == 1


def test_the_answer_to_a_sign_up_comes_at_full_steps() -> None:
    assert wait_s(0.1, 0.5) == pytest.approx(0.4)
    assert wait_s(0.6, 0.5) == pytest.approx(0.4)
    assert wait_s(0.5, 0.5) == 0.0
    assert wait_s(0.1, 0.0) == 0.0


def test_a_sign_up_waits_for_its_step(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("apps.accounts.guarding.even_time.asyncio.sleep", sleep)
    settings.ACCOUNTS_EVEN_STEP_S = 1000.0
    _send("/accounts/signup/", UNKNOWN)
    _send("/accounts/login/", UNKNOWN)
    assert len(waited) == 1
    assert 900.0 < waited[0] < 1000.0


def test_whoever_adds_a_known_address_to_an_account_learns_nothing() -> None:
    pages = []
    for address in (KNOWN, UNKNOWN):
        browser = SiteClient("user")
        browser.force_login(User.objects.create_user(f"asks-for-{address}", PASSWORD))
        browser.post("/accounts/reauthenticate/", {"password": PASSWORD})
        answer: Any = browser.post("/accounts/email/", {"action_add": "", "email": address})
        location = answer.headers.get("Location", "")
        page = browser.get(location).content.decode() if location else answer.content.decode()
        pages.append((answer.status_code, location, _plain(page, address)))
    assert pages[0] == pages[1]


@pytest.mark.django_db(transaction=True)
def test_in_real_life_the_mail_comes_from_a_thread(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.ACCOUNTS_IN_BACKGROUND = True
    monkeypatch.setattr(background, "_LATER_S", (0.0, 0.0))
    begun: list[Future[None]] = []
    submit = background._threads.submit
    monkeypatch.setattr(background._threads, "submit", lambda *job: begun.append(submit(*job)))
    _send("/accounts/password/reset/", KNOWN)
    for nth in range(2):  # the mail is a job that the first one begins
        begun[nth].result(timeout=30)
    [message] = mail.outbox
    assert message.to == [KNOWN]
    assert "http://user.motherfluxer.localhost/accounts/password/reset/key/" in str(message.body)
