"""Pages of other origins: which may read answers, and what browsers are told before they ask."""

from typing import Any

import pytest
from django.core.checks import run_checks

from apps.router.live.runtime import LiveRouter
from tests.integration.api.rig import Call, call

PAGE = "https://page.example"
ALLOW = "access-control-allow-origin"


def ask(method: str = "GET", *, origin: str = PAGE, key: str | None = "mf_known") -> Call:
    preflight = [(b"access-control-request-method", b"GET")] if method == "OPTIONS" else []
    headers = ((b"origin", origin.encode()), *preflight)
    return call(method, "/v1/models", key=key, headers=headers)


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
async def test_no_page_is_let_in_unless_it_is_configured(router: LiveRouter, method: str) -> None:
    headers = (await ask(method).end()).headers
    assert not any(name.startswith("access-control") for name in headers)


@pytest.mark.parametrize(("configured", "told"), [([PAGE], PAGE), (["*"], "*")])
async def test_a_page_that_is_configured_may_read_answers_and_errors(
    router: LiveRouter, settings: Any, configured: list[str], told: str
) -> None:
    settings.API_CORS_ORIGINS = configured
    for key, status in (("mf_known", 200), ("mf_other", 401)):
        reply = await ask(key=key).end()
        assert (reply.status, reply.headers[ALLOW]) == (status, told)
        assert "access-control-allow-credentials" not in reply.headers
        exposed = reply.headers["access-control-expose-headers"].split(", ")
        assert {"x-request-id", "retry-after", "x-ratelimit-reset-requests"} <= set(exposed)


async def test_other_pages_get_nothing_and_no_cache_mixes_them_up(
    router: LiveRouter, settings: Any
) -> None:
    settings.API_CORS_ORIGINS = [PAGE]
    reply = await ask(origin="https://page.example.evil").end()
    assert (reply.status, reply.headers["vary"]) == (200, "origin")
    assert ALLOW not in reply.headers


async def test_a_browser_may_ask_beforehand_without_a_key(settings: Any) -> None:
    settings.API_CORS_ORIGINS = [PAGE]
    reply = await ask("OPTIONS", key=None).end()
    assert (reply.status, reply.headers[ALLOW]) == (204, PAGE)
    assert reply.headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS"
    assert reply.headers["access-control-allow-headers"] == "authorization, *"


@pytest.mark.parametrize("origin", ["https://page.example/", "page.example", "https://*.example"])
def test_an_origin_that_no_browser_sends_is_refused_at_start(settings: Any, origin: str) -> None:
    settings.API_CORS_ORIGINS = [PAGE, "*", "http://localhost:3000", "capacitor://localhost"]
    assert not [found for found in run_checks() if found.id == "api.E002"]
    settings.API_CORS_ORIGINS = [origin]
    assert [found.id for found in run_checks() if found.id == "api.E002"]


def test_a_limit_that_lets_nothing_through_is_refused_at_start(settings: Any) -> None:
    settings.API_REQUESTS_PER_MINUTE = 0
    assert [found.id for found in run_checks() if found.id == "api.E001"]
