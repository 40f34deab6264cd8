"""A live router in this event loop, with one instance and a gate that knows one key."""

from collections.abc import AsyncIterator

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

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
