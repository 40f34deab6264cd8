"""What every process with links and streams does, whether the router is in it or apart."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import Any, Final

from apps.router import ports
from apps.router.live.gateway import Gateway
from apps.router.live.links import InstanceLink
from apps.router.live.repeating import repeat
from apps.router.live.streams import JobStream
from apps.router.router_view import LinkDetail, RouterView
from motherfluxer_wire import limits
from motherfluxer_wire.frames import Hello

log = logging.getLogger(__name__)

CREDENTIAL_CHECK_S: Final = 0.4
USAGE_WRITE_S: Final = 1.0
# Of a database that is away each record waits for its own time: together, not longer than this.
RECORDS_WITHIN_S: Final = 5.0


class GatewayProcess(ABC):
    """The gateway of this process, with the records that are kept of its links."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self._records: asyncio.Queue[Coroutine[Any, Any, None]] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin all that goes on until the stop."""
        self._tasks += [asyncio.create_task(work) for work in self.works()]

    async def stop(self) -> None:
        """End every link and task."""
        self.close_links()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._keep_last_records()
        try:
            await _write_usage()
        except Exception:  # the rim: the database may be away, and the process ends all the same
            log.exception("what keys used in the last second was not written")

    @abstractmethod
    async def drain(self, timeout_s: float) -> None:
        """Get ready to stop, within a time."""

    @abstractmethod
    def view(self) -> RouterView:
        """Return what the router sees."""

    def trouble(self) -> str | None:
        """Return in words why this process should get no requests now; None: it should."""
        return "this process is stopping" if self.gateway.is_draining else None

    async def follow(self, job_id: str) -> JobStream | None:
        """Return a job's stream to read; None when it is not known any more."""
        return self.gateway.streams.get(job_id)

    def works(self) -> list[Coroutine[Any, Any, None]]:
        """List what goes on until the stop."""
        return [
            repeat(
                self._cut_ended_credentials, CREDENTIAL_CHECK_S, "credentials could not be checked"
            ),
            repeat(_write_usage, USAGE_WRITE_S, "what keys used could not be written yet"),
            self._keep_records(),
        ]

    def close_links(self) -> None:
        """Have every instance connect anew, at once."""
        for link in list(self.gateway.links.values()):
            link.close(limits.CLOSE_RESTARTING, "the server restarts")

    def join(self, link: InstanceLink, hello: Hello) -> None:
        """Take an instance in and have it recorded. Raises WireError."""
        self.gateway.link_opened(link, hello)
        if gate := ports.instance_gate.get_or_none():
            self._records.put_nowait(gate.instance_joined(link.admission, hello))

    def leave(self, link: InstanceLink) -> None:
        """Forget a link that has ended and have it recorded."""
        self.gateway.link_closed(link)
        gate = ports.instance_gate.get_or_none()
        if gate and link.name and not self._is_connected(link.instance_id):
            self._records.put_nowait(gate.instance_left(link.admission, link.name))

    @staticmethod
    def detail(link: InstanceLink) -> LinkDetail:
        """Return what only this process knows of a link."""
        admission = link.admission
        return LinkDetail(admission.operator_email, admission.credential_id, link.agent)

    def _is_connected(self, instance_id: str) -> bool:
        return any(link.instance_id == instance_id for link in self.gateway.links.values())

    async def _cut_ended_credentials(self) -> None:
        gate = ports.instance_gate.get_or_none()
        links = list(self.gateway.links.values())
        if not gate or not links:
            return
        ended = await gate.ended_credentials(
            frozenset(link.admission.credential_id for link in links)
        )
        for link in links:
            if link.admission.credential_id in ended:
                link.close(limits.CLOSE_CREDENTIAL_ENDED, "the credential was revoked or expired")
                self.leave(link)

    async def _keep_records(self) -> None:
        while True:
            await self._keep_record()

    async def _keep_last_records(self) -> None:
        try:
            async with asyncio.timeout(RECORDS_WITHIN_S):
                while not self._records.empty():
                    await self._keep_record()
        except TimeoutError:
            log.error("instances' records were not written: %d", self._records.qsize() + 1)
        while not self._records.empty():
            self._records.get_nowait().close()

    async def _keep_record(self) -> None:
        record = await self._records.get()
        try:
            await record
        except Exception:  # the rim of the task: a record lost is no reason to stop serving
            log.exception("an instance could not be recorded")


async def _write_usage() -> None:
    if gate := ports.caller_gate.get_or_none():
        await gate.flush()
