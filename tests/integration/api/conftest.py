"""A live router in this loop, with one instance and a gate with one key; a minute that stays."""

import time
from collections.abc import AsyncIterator

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connections

from apps.api import request_limits
from apps.api.request_limits import RequestCounter, counters_of
from apps.router import ports
from apps.router.live.runtime import LiveRouter, running_router
from tests.integration.api.rig import Instance, OneKeyGate


@pytest.fixture
async def router(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[LiveRouter]:
    monkeypatch.setattr(ports.instance_gate, "_object", None)
    monkeypatch.setattr(ports.caller_gate, "_object", OneKeyGate())
    monkeypatch.setattr(ports.model_catalog, "_object", None)
    async with running_router() as running:
        yield running
    await sync_to_async(connections.close_all)()


@pytest.fixture
async def instance(router: LiveRouter) -> Instance:
    return Instance(router)


@pytest.fixture
def still_minute(monkeypatch: pytest.MonkeyPatch) -> RequestCounter:
    """Count requests as the settings say, in a minute that does not pass."""
    now = time.time()
    counter = RequestCounter(counters_of(settings.REDIS_URL), clock=lambda: now)
    monkeypatch.setattr(request_limits, "_counter", lambda: counter)
    return counter
