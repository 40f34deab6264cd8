"""What visitors may ask, in memory or in Redis, whichever the settings name."""

import asyncio
import secrets

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from pytest_django import Settings

from apps.demo.gate import CookieVisitorGate


@pytest.fixture
def gate(settings: Settings) -> CookieVisitorGate:
    settings.DEMO_LIMIT = "10/day"
    return CookieVisitorGate()


@pytest.fixture
def visitor() -> str:
    return secrets.token_urlsafe(18)


async def test_at_most_the_limit_is_taken_by_many_at_once(
    gate: CookieVisitorGate, visitor: str
) -> None:
    taken = await asyncio.gather(*(gate.take(visitor, "") for _ in range(40)))
    assert sum(one is not None for one in taken) == 10
    assert (await gate.allowance(visitor, "")).left == 0


async def test_what_is_given_back_can_be_taken_again(gate: CookieVisitorGate, visitor: str) -> None:
    for _ in range(11):
        await gate.take(visitor, "")
    await gate.give_back(visitor, "")
    assert (await gate.allowance(visitor, "")).left == 1
    assert await gate.take(visitor, "") is not None
    assert await gate.take(visitor, "") is None


async def test_nobody_gets_more_than_the_limit_by_giving_back(
    gate: CookieVisitorGate, visitor: str
) -> None:
    await gate.give_back(visitor, "")
    assert (await gate.allowance(visitor, "")).left == 10


async def test_visitors_do_not_share(gate: CookieVisitorGate, visitor: str) -> None:
    await gate.take(visitor, "")
    assert (await gate.allowance(gate.new_visitor_key(), "")).left == 10


async def test_window_ends_a_day_after_its_first_answer(
    gate: CookieVisitorGate, visitor: str
) -> None:
    first = await gate.take(visitor, "")
    second = await gate.take(visitor, "")
    assert first is not None
    assert second is not None
    assert second.resets_at - first.resets_at < 60


def test_cookie_is_signed_and_kept_from_scripts(gate: CookieVisitorGate, visitor: str) -> None:
    response = HttpResponse()
    gate.remember(response, visitor)
    cookie = response.cookies["mf-visitor"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    request = RequestFactory().get("/")
    request.COOKIES["mf-visitor"] = cookie.value
    assert gate.visitor_key(request) == visitor
    request.COOKIES["mf-visitor"] = cookie.value.replace(visitor, gate.new_visitor_key())
    assert gate.visitor_key(request) is None
