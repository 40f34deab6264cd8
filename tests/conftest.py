"""What every test can rely on: no network but loopback, no blocked event loop."""

import inspect
import ipaddress
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from blockbuster import blockbuster_ctx
from django.db import connection
from hypothesis import settings

from apps.accounts.guarding.counters import counters_at, shared_counters

# Machines are shared: how long an example takes says nothing about the product.
settings.register_profile("steady", deadline=None)
settings.load_profile("steady")

_OURS = ["apps.router", "motherfluxer_wire", "motherfluxer_model"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the tests that need an accelerator where there is none."""
    if any(Path("/dev").glob("nvidia[0-9]*")):
        return
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="gpu: this machine has no accelerator"))


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that would leave this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
            raise PermissionError(f"tests talk to loopback only, not to {address[0]}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def no_guesses_counted() -> Iterator[None]:
    """Forget after a test how often somebody gave a wrong password in it."""
    yield
    if counters_at.cache_info().currsize:
        shared_counters().reset()
        counters_at.cache_clear()


@pytest.fixture(autouse=True)
def no_blocking(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test whose event loop our own code blocks."""
    function = getattr(request, "function", None)
    if not inspect.iscoroutinefunction(function):
        yield
        return
    with blockbuster_ctx(_OURS):
        yield


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """End what threads have left open on PostgreSQL, which else refuses to drop the database."""
    yield
    with django_db_blocker.unblock():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            connection.close()
