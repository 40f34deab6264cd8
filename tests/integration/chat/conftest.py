"""A live router in the test's own event loop, whose jobs the test answers itself."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connections
from django.test import AsyncClient

from apps.router.errors import ErrorCode, JobError
from apps.router.live.runtime import LiveRouter, running_router
from apps.router.live.streams import Ended, JobStream, Started
from motherfluxer.hosts import cookie_name
from motherfluxer_wire.frames import Chunk

JSON = {"Accept": "application/json"}


class Answering:
    """Plays the instance: starts, continues and ends the jobs of a live router."""

    def __init__(self, router: LiveRouter) -> None:
        self.router = router

    async def next_job(self, known: int = 0) -> JobStream:
        """Wait for the job after the first `known` ones."""
        async with asyncio.timeout(20):
            while len(self.router.gateway.streams) <= known:  # noqa: ASYNC110  # it has no event
                await asyncio.sleep(0.001)
        return list(self.router.gateway.streams.values())[known]

    def start(self, stream: JobStream, attempt: int = 1) -> None:
        """Give the job to an instance."""
        started = Started("one", "tiny", attempt)
        stream.begin_attempt(started, owner="link", fingerprint=None)

    def say(self, stream: JobStream, text: str) -> None:
        """Let the answer grow."""
        seq = stream.next_seq
        chunk = Chunk(job=stream.job_id, attempt=stream.attempt, seq=seq, text=text, tokens=1)
        assert stream.accept(chunk, owner="link")

    def finish(self, stream: JobStream) -> None:
        """End the answer well."""
        stream.end(Ended("stop"), at=time.monotonic())

    def fail(self, stream: JobStream, code: ErrorCode = ErrorCode.INSTANCES_FAILED) -> None:
        """End the answer badly."""
        stream.end(Ended(None, JobError(code, "None could.")), at=time.monotonic())


@pytest.fixture
async def router() -> AsyncIterator[LiveRouter]:
    async with running_router() as live:
        yield live
    await sync_to_async(connections.close_all)()


@pytest.fixture
def answering(router: LiveRouter) -> Answering:
    return Answering(router)


@pytest.fixture
def visitor() -> AsyncClient:
    return AsyncClient()


class UserClient(AsyncClient):
    """A browser at the users' site."""

    def _base_scope(self, **request: Any) -> Any:
        host = f"user.{settings.MOTHERFLUXER_DOMAIN}".encode()
        headers = [pair for pair in request["headers"] if pair[0] != b"host"]
        scope = {**request, "headers": [(b"host", host), *headers]}
        return super()._base_scope(**scope)  # type: ignore[misc]  # the stubs leave it out

    async def sign_in(self, user: Any) -> None:
        """Sign a user in; the cookie gets this site's name."""
        await self.aforce_login(user, settings.AUTHENTICATION_BACKENDS[0])
        name = cookie_name(settings.SESSION_COOKIE_NAME, "user", is_secure=False)
        self.cookies[name] = self.cookies.pop(settings.SESSION_COOKIE_NAME).value


@pytest.fixture
def user_client() -> UserClient:
    return UserClient()
