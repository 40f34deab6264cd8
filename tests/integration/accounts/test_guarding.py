"""Guessing passwords and codes at the real sign-in pages: slowed, locked, told, never for good."""

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.totp.internal.auth import TOTP
from django.contrib.auth import authenticate
from django.core import mail
from django.core.cache import cache
from django.test import override_settings
from limits.storage import MemoryStorage

from apps.accounts.guarding import attempts
from apps.accounts.guarding.guard import Guard
from apps.accounts.guarding.ladder import ACCOUNT, NETWORK, SECOND_STEP
from apps.accounts.models import User
from tests.clients import SiteClient
from tests.clock import Clock, stand_still
from tests.servers import running_servers

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
ADDRESS = "owner@example.org"
TOO_MANY = "Too many wrong tries"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time as the guard and its counters see it; in memory, since Redis has its own clock."""
    clock, counters = stand_still(monkeypatch), MemoryStorage()
    monkeypatch.setattr(attempts, "guard", lambda: Guard(counters, clock))
    return clock


@pytest.fixture(autouse=True)
def no_other_limits() -> Iterator[None]:
    """Leave the site's limit of requests out: these are about wrong ones."""
    with override_settings(ACCOUNT_RATE_LIMITS=False):
        yield
    cache.clear()


@pytest.fixture
def owner() -> User:
    return _person(ADDRESS)


def _person(address: str) -> User:
    user = User.objects.create_user(address, PASSWORD)
    EmailAddress.objects.create(user=user, email=address, verified=True, primary=True)
    return user


def _sign_in(
    password: str,
    *,
    login: str = ADDRESS,
    at: str = "192.0.2.1",
    browser: SiteClient | None = None,
    site: str = "user",
) -> tuple[SiteClient, str]:
    browser = browser or SiteClient(site)
    form = {"login": login, "password": password}
    page = browser.post("/accounts/login/", form, REMOTE_ADDR=at)
    return browser, page.content.decode()


def _lock(clock: Clock, *, login: str = ADDRESS, site: str = "user") -> None:
    """Guess from ever new addresses until the account is locked."""
    for wrong in range(1, ACCOUNT.lock_count + 1):
        _, page = _sign_in(f"wrong {wrong}", login=login, at=f"198.51.100.{wrong}", site=site)
        assert TOO_MANY not in page
        if wrong < ACCOUNT.lock_count:
            clock.now += ACCOUNT.wait_s(wrong)


def test_guesses_at_one_account_from_many_addresses_wait_longer_each_time(
    owner: User, clock: Clock
) -> None:
    for wrong in range(1, ACCOUNT.free_count + 1):
        _, page = _sign_in("wrong", at=f"198.51.100.{wrong}")
        assert TOO_MANY not in page
    _, page = _sign_in("wrong", at="203.0.113.9")
    assert "The next one counts in 2 seconds" in page
    clock.now += 2
    assert TOO_MANY not in _sign_in("wrong", at="203.0.113.10")[1]
    assert "counts in 4 seconds" in _sign_in("wrong", at="203.0.113.11")[1]


@pytest.mark.parametrize("site", ["user", "admin", "superadmin"])
def test_a_locked_account_takes_not_even_the_right_password(
    owner: User, clock: Clock, site: str
) -> None:
    _lock(clock, site=site)
    browser, page = _sign_in(PASSWORD, at="203.0.113.9", site=site)
    assert "counts in 15 minutes" in page
    assert not browser.is_signed_in


def test_one_address_that_tries_many_accounts_is_locked(clock: Clock) -> None:
    for wrong in range(1, NETWORK.free_count + 1):
        assert TOO_MANY not in _sign_in("wrong", login=f"nobody-{wrong}@example.org")[1]
    assert TOO_MANY in _sign_in("wrong", login="nobody-else@example.org")[1]
    assert TOO_MANY not in _sign_in("wrong", login="nobody-else@example.org", at="192.0.2.2")[1]


def test_the_first_half_of_an_ipv6_address_counts(clock: Clock) -> None:
    for wrong in range(1, NETWORK.free_count + 1):
        _sign_in("wrong", login=f"nobody-{wrong}@example.org", at=f"2001:db8:0:1::{wrong:x}")
    assert TOO_MANY in _sign_in("x", login="n@example.org", at="2001:db8:0:1:ffff::1")[1]
    assert TOO_MANY not in _sign_in("x", login="n@example.org", at="2001:db8:0:2::1")[1]


def test_signing_in_to_ones_own_account_between_does_not_help(owner: User, clock: Clock) -> None:
    for wrong in range(1, NETWORK.free_count + 1):
        _sign_in("wrong", login=f"nobody-{wrong}@example.org")
        if wrong % 4 == 0 and wrong < NETWORK.free_count:
            assert _sign_in(PASSWORD)[0].is_signed_in
    assert TOO_MANY in _sign_in("wrong", login="nobody@example.org")[1]


def test_the_owner_is_told_once_of_a_lock(owner: User, clock: Clock) -> None:
    _lock(clock)
    for more in range(1, 5):
        clock.now += ACCOUNT.most_wait_s
        _sign_in("wrong", at=f"203.0.113.{more}")
    [message] = mail.outbox
    assert message.to == [ADDRESS]
    assert "guessing your MotherFluxer password" in message.subject
    assert "198.51.100.10" in str(message.body)
    assert "http://user.motherfluxer.localhost/accounts/password/reset/" in str(message.body)
    assert "text/html" in str(getattr(message, "alternatives", ""))


def test_an_unknown_address_is_slowed_with_the_same_words_and_nobody_is_told(
    owner: User, clock: Clock
) -> None:
    _lock(clock)
    _lock(clock, login="nobody@example.org")
    _, known = _sign_in(PASSWORD, at="203.0.113.9")
    _, unknown = _sign_in(PASSWORD, at="203.0.113.9", login="nobody@example.org")
    assert _words(known) == _words(unknown.replace("nobody@example.org", ADDRESS))
    assert len(mail.outbox) == 1


def test_a_browser_that_was_signed_in_before_gets_in_while_strangers_are_locked(
    owner: User, clock: Clock
) -> None:
    mine, _ = _sign_in(PASSWORD, at="192.0.2.1")
    mine.post("/accounts/logout/")
    assert not mine.is_signed_in
    _lock(clock)
    for wrong in range(1, NETWORK.lock_count + 1):
        _sign_in("wrong", login=f"nobody-{wrong}@example.org", at="192.0.2.1")
    assert TOO_MANY in _sign_in(PASSWORD, at="192.0.2.1")[1]
    _sign_in(PASSWORD, at="192.0.2.1", browser=mine)
    assert mine.is_signed_in


def test_a_known_browser_is_known_for_its_own_account_alone_and_slowed_as_well(
    owner: User, clock: Clock
) -> None:
    _person("thief@example.org")
    theirs, _ = _sign_in(PASSWORD, login="thief@example.org")
    assert theirs.is_signed_in
    theirs.post("/accounts/logout/")
    _lock(clock)
    assert TOO_MANY in _sign_in(PASSWORD, at="203.0.113.9", browser=theirs)[1]
    pages = [
        _sign_in("wrong", login="thief@example.org", browser=theirs)[1]
        for _ in range(ACCOUNT.free_count + 1)
    ]
    assert [TOO_MANY in page for page in pages] == [False] * ACCOUNT.free_count + [True]


def test_a_made_up_device_cookie_is_none(owner: User, clock: Clock) -> None:
    _lock(clock)
    forger = SiteClient("user")
    forger.cookies["mf-device"] = "x.y:sig:nature"
    assert TOO_MANY in _sign_in(PASSWORD, browser=forger)[1]


def test_the_reset_link_lets_a_locked_owner_in_at_once(owner: User, clock: Clock) -> None:
    _lock(clock)
    browser = SiteClient("user")
    browser.post("/accounts/password/reset/", {"email": ADDRESS})
    link = re.search(r"http://user\.motherfluxer\.localhost(/\S+)", str(mail.outbox[-1].body))
    assert link is not None
    path = browser.get(link[1], follow=True).redirect_chain[-1][0]
    browser.post(path, {"password1": "another long one", "password2": "another long one"})
    assert authenticate(email=ADDRESS, password="another long one") is not None
    browser.post("/accounts/logout/")
    _lock(clock)
    _sign_in("another long one", browser=browser)
    assert browser.is_signed_in


def test_codes_of_the_second_step_are_limited_and_the_owner_learns_who_knows_the_password(
    owner: User, clock: Clock
) -> None:
    TOTP.activate(owner, "JBSWY3DPEHPK3PXP")
    browser, _ = _sign_in(PASSWORD)
    for wrong in range(1, SECOND_STEP.lock_count + 1):
        page = browser.post("/accounts/2fa/authenticate/", {"code": "000000"})
        assert TOO_MANY not in page.content.decode()
        if wrong < SECOND_STEP.lock_count:
            clock.now += SECOND_STEP.wait_s(wrong)
    page = browser.post("/accounts/2fa/authenticate/", {"code": "000000"})
    assert "counts in 15 minutes" in page.content.decode()
    [message] = mail.outbox
    assert "Somebody knows your MotherFluxer password" in message.subject
    assert not browser.is_signed_in


def test_a_signed_in_thief_cannot_guess_the_password_to_confirm_with(
    owner: User, clock: Clock
) -> None:
    browser = SiteClient("user")
    browser.force_login(owner)
    for _ in range(ACCOUNT.free_count):
        browser.post("/accounts/reauthenticate/", {"password": "wrong"})
    page = browser.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert TOO_MANY in page.content.decode()


def test_processes_that_share_redis_count_together() -> None:
    program = (
        "import sys\n"
        "from apps.accounts.guarding.counters import counters_at\n"
        "from apps.accounts.guarding.guard import Guard, Scope\n"
        "from apps.accounts.guarding.ladder import ACCOUNT\n"
        "guard = Guard(counters_at(sys.argv[1]))\n"
        "scope = Scope('account:a', ACCOUNT)\n"
        "sys.stdin.readline()\n"
        "print(sum(guard.admit([scope]) == 0 for _ in range(50)))\n"
    )
    with running_servers() as servers:
        guessers = [
            subprocess.Popen(
                [sys.executable, "-c", program, servers.redis_url],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(4)
        ]
        for guesser in guessers:
            assert guesser.stdin is not None
            guesser.stdin.write("go\n")
            guesser.stdin.flush()
        admitted = sum(int(guesser.communicate(timeout=60)[0]) for guesser in guessers)
    # Those that are free, and another each time that a wait is over, if the machine is that slow.
    assert ACCOUNT.free_count <= admitted < ACCOUNT.lock_count


def _words(page: str) -> str:
    """Return a page without what is new in each: the token of its form, and the time to wait."""
    return re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"|\d+ minutes', "", page)
