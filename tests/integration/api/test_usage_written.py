"""The live router has what keys used written each second, and once more at its end."""

import asyncio

import pytest

from apps.router import ports
from apps.router.live import gateway_process
from apps.router.live.runtime import running_router
from tests.integration.api.rig import OneKeyGate

pytestmark = pytest.mark.django_db(transaction=True)


class SlowToWrite(OneKeyGate):
    """Tells when it is asked to write."""

    def __init__(self) -> None:
        super().__init__()
        self.flushed = asyncio.Event()
        self.flush_count = 0

    async def flush(self) -> None:
        """Count, and fail as a database that is away."""
        self.flush_count += 1
        self.flushed.set()
        raise OSError("away")


async def test_usage_is_written_while_the_router_runs_and_when_it_stops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = SlowToWrite()
    monkeypatch.setattr(gateway_process, "USAGE_WRITE_S", 0.001)
    monkeypatch.setattr(ports.caller_gate, "_object", gate)
    monkeypatch.setattr(ports.instance_gate, "_object", None)
    monkeypatch.setattr(ports.model_catalog, "_object", None)
    async with running_router():
        for _ in range(3):  # a failed writing does not end the writing
            await gate.flushed.wait()
            gate.flushed.clear()
        monkeypatch.setattr(gateway_process, "USAGE_WRITE_S", 3600)
        before = gate.flush_count
    assert gate.flush_count > before
