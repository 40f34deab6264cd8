"""A real Redis stops and comes back: what needs it says so, what can do without goes on."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.cache import cache, caches
from django.test import Client
from pytest_django import Settings

from apps.accounts.guarding.counters import counters_at
from apps.redis_clients import redis_client, redis_patience
from tests.servers import Server, running_valkey_server

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder, running_valkey_server(Path(folder)) as started:
        yield started


@pytest.fixture
def away(server: Server, settings: Settings) -> Iterator[Server]:
    """A Redis that was there and is away until the test starts it again."""
    settings.REDIS_URL = server.url
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": server.url,
            "OPTIONS": redis_patience(),
        }
    }
    cache.set("was", "there")
    server.kill9()
    yield server
    server.stop()
    server.start()
    for one in caches.all(initialized_only=True):
        one.close()
    counters_at.cache_clear()


@pytest.fixture
def user_site(settings: Settings) -> Client:
    client = Client(headers={"host": f"user.{settings.MOTHERFLUXER_DOMAIN}"})
    client.raise_request_exception = False
    return client


def test_nobody_guesses_passwords_while_guesses_cannot_be_counted(
    user_site: Client, away: Server
) -> None:
    assert user_site.get("/accounts/login/").status_code == 200
    form = {"login": "reader@example.org", "password": "wrong"}
    refused = user_site.post("/accounts/login/", form)
    assert (refused.status_code, refused["Retry-After"]) == (503, "5")
    assert "Back in a moment" in refused.content.decode()
    refused = user_site.post("/accounts/login/", form, headers={"accept": "application/json"})
    assert refused.json()["error"]["code"] == "router_away"
    away.start()
    looked_at = user_site.post("/accounts/login/", form)
    assert looked_at.status_code == 200


def test_rest_is_answered_uncounted(client: Client, away: Server, settings: Settings) -> None:
    rates = {"rest_person": "1/minute", "rest_address": "1/minute"}
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": rates}

    def asked() -> list[int]:
        return [
            client.get("/api/decisions/", headers={"host": "localhost"}).status_code
            for _ in range(2)
        ]

    assert asked() == [200, 200]
    away.start()
    assert asked() == [200, 429]


def test_a_client_is_well_as_soon_as_its_redis_is_back(server: Server) -> None:
    with redis_client(server.url) as client:
        client.set("a", "1")
        server.kill9()
        server.start()
        client.set("a", "2")
        assert client.get("a") == "2"
