"""Visitors as the gate knows them: a cookie that only it can make, and an address."""

import secrets
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.test import RequestFactory
from pytest_django import Settings

from apps.demo.conf import CONF
from apps.demo.gate import CookieVisitorGate
from apps.router.errors import ErrorCode, JobRefusedError

NOW = 1_800_000_000.0


def some_address() -> str:
    """Return an address that no other test has."""
    return f"2001:db8:{secrets.randbelow(65536):x}:{secrets.randbelow(65536):x}::1"


@pytest.fixture
def gate(settings: Settings) -> CookieVisitorGate:
    settings.DEMO_LIMIT = "2/day"
    settings.DEMO_ADDRESS_LIMIT = "3/hour"
    settings.DEMO_ADDRESS_RUNNING = 2
    return CookieVisitorGate(clock=lambda: NOW)


@pytest.fixture
def visitor() -> str:
    return secrets.token_urlsafe(18)


async def answered(gate: CookieVisitorGate, visitor: str, address: str) -> None:
    await gate.end(await gate.take(visitor, address), is_used=True)


async def refusal(gate: CookieVisitorGate, visitor: str, address: str) -> Any:
    with pytest.raises(JobRefusedError) as caught:
        await gate.take(visitor, address)
    return caught.value.error


async def test_limit_says_when_to_come_back(gate: CookieVisitorGate, visitor: str) -> None:
    address = some_address()
    for _ in range(2):
        await answered(gate, visitor, address)
    error = await refusal(gate, visitor, address)
    assert (error.code, error.retry_after_s) == (ErrorCode.DEMO_LIMIT_REACHED, 86_400)
    allowance = await gate.allowance(visitor, address)
    assert allowance is not None
    assert (allowance.left, allowance.limit) == (0, 2)
    assert allowance.comes_back_at == NOW + 86_400
    assert not allowance.is_shared


@pytest.mark.parametrize("other", ["2001:db8:7:{n}:ffff::2", "2001:DB8:7:{n}::"])
async def test_a_whole_ipv6_network_shares_its_limit(gate: CookieVisitorGate, other: str) -> None:
    number = f"{secrets.randbelow(65536):x}"
    for _ in range(3):
        await answered(gate, gate.new_visitor_key(), f"2001:db8:7:{number}::1")
    address = other.format(n=number)
    error = await refusal(gate, gate.new_visitor_key(), address)
    assert (error.code, error.retry_after_s) == (ErrorCode.DEMO_LIMIT_REACHED, 3_600)
    allowance = await gate.allowance(gate.new_visitor_key(), address)
    assert allowance is not None
    assert (allowance.left, allowance.limit, allowance.is_shared) == (0, 3, True)


async def test_running_answers_are_told_apart(gate: CookieVisitorGate, visitor: str) -> None:
    address = some_address()
    await gate.take(visitor, address)
    assert (await refusal(gate, visitor, address)).code is ErrorCode.ANSWER_RUNNING
    await gate.take(gate.new_visitor_key(), address)
    busy = await refusal(gate, gate.new_visitor_key(), address)
    assert (busy.code, busy.retry_after_s) == (ErrorCode.DEMO_BUSY, CONF.network_retry_s)


async def test_ceiling_says_when_to_come_back(settings: Settings) -> None:
    settings.DEMO_CEILING = "0/minute"
    gate = CookieVisitorGate(clock=lambda: NOW)
    busy = await refusal(gate, gate.new_visitor_key(), some_address())
    assert (busy.code, busy.retry_after_s) == (ErrorCode.DEMO_BUSY, 60)


async def test_junk_instead_of_a_proof_is_no_proof(settings: Settings) -> None:
    settings.DEMO_PROOF_AFTER = 0
    gate = CookieVisitorGate(clock=lambda: NOW)
    for junk in ("", "x", "e30=", "A" * 100_000):
        with pytest.raises(JobRefusedError) as caught:
            await gate.take(gate.new_visitor_key(), some_address(), proof=junk)
        assert caught.value.error.code is ErrorCode.PROOF_NEEDED


@pytest.mark.parametrize("name", ["DEMO_LIMIT", "DEMO_ADDRESS_LIMIT", "DEMO_CEILING"])
def test_nonsense_in_the_settings_is_named(settings: Settings, name: str) -> None:
    setattr(settings, name, "plenty")
    with pytest.raises(ImproperlyConfigured, match=name):
        CookieVisitorGate()


def cookie_of(gate: CookieVisitorGate, visitor: str) -> str:
    response = HttpResponse()
    gate.remember(response, visitor)
    return str(response.cookies[CONF.cookie_name].value)


def key_from(gate: CookieVisitorGate, cookie: str) -> str | None:
    request = RequestFactory().get("/")
    request.COOKIES[CONF.cookie_name] = cookie
    return gate.visitor_key(request)


def test_cookie_is_kept_from_scripts_and_other_sites(gate: CookieVisitorGate, visitor: str) -> None:
    response = HttpResponse()
    gate.remember(response, visitor)
    cookie = response.cookies[CONF.cookie_name]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert key_from(gate, cookie.value) == visitor


def test_behind_tls_no_sibling_site_can_set_the_cookie(
    gate: CookieVisitorGate, visitor: str, settings: Settings
) -> None:
    settings.SESSION_COOKIE_SECURE = True
    response = HttpResponse()
    gate.remember(response, visitor)
    [(name, cookie)] = response.cookies.items()
    assert name == f"__Host-{CONF.cookie_name}"
    assert (cookie["secure"], cookie["path"], cookie["domain"]) == (True, "/", "")
    assert key_from(gate, cookie.value) is None
    request = RequestFactory().get("/")
    request.COOKIES[name] = cookie.value
    assert gate.visitor_key(request) == visitor


def test_forged_cookies_are_nobodys(gate: CookieVisitorGate, visitor: str) -> None:
    real = cookie_of(gate, visitor)
    head, _, signature = real.rpartition(":")
    forged = [
        real.replace(visitor, gate.new_visitor_key()),
        f"{head}:{signature[:-1]}",
        f"{head}:{signature.swapcase()}",
        head,
        visitor,
        "",
        ":",
        "::::",
        "\x00",
        "é" * 100,
        real * 500,
        "A" * 60_000,
    ]
    assert [key_from(gate, cookie) for cookie in forged] == [None] * len(forged)


def test_old_cookie_is_nobodys(
    gate: CookieVisitorGate, visitor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cookie = cookie_of(gate, visitor)
    import time

    real = time.time
    monkeypatch.setattr("django.core.signing.time.time", lambda: real() + CONF.cookie_max_age_s + 2)
    assert key_from(gate, cookie) is None


def test_cookie_of_another_purpose_is_nobodys(gate: CookieVisitorGate, visitor: str) -> None:
    response = HttpResponse()
    response.set_signed_cookie(CONF.cookie_name, visitor, salt="another")
    assert key_from(gate, response.cookies[CONF.cookie_name].value) is None
