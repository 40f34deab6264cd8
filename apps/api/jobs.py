"""A job of the API: its stream, those who read it, and what is counted at its end."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Self

from apps.api.conf import CONF
from apps.api.dialects.base import Answer, Head, Question
from apps.api.errors import ApiError, api_error_of_job
from apps.api.named_jobs import named_jobs
from apps.redis_clients import REDIS_AWAY
from apps.router import ports
from apps.router.errors import ErrorCode, JobMovedError
from apps.router.live.streams import JobRequest, JobStream
from apps.router.ports import Caller, CallRecord
from apps.router.services import job_cancel, job_submit

_WHOLE = frozenset({"stop", "length"})


class ApiJob:
    """A question at the router, and what all who read its answer are told alike.

    stays_s: so long the job goes on without a reader before it is stopped.
    is_followed: the job is another process's, which stops it and has it counted.
    when_settled: is called once when it has ended, or soon after, and nobody reads it any more.
    """

    def __init__(
        self,
        question: Question,
        caller: Caller,
        stream: JobStream,
        *,
        stays_s: float = 0.0,
        created: int | None = None,
        is_followed: bool = False,
    ) -> None:
        self.question = question
        self.stream = stream
        self.when_settled: Callable[[], None] | None = None
        self._caller = caller
        self.created = created if created is not None else int(time.time())
        self._is_followed = is_followed
        self._stays_s = stays_s
        self._readers = 0
        self._stay: asyncio.Task[None] | None = None
        self._noting: asyncio.Task[None] | None = None
        self._is_settled = False

    @classmethod
    async def submitted(
        cls, question: Question, caller: Caller, *, request_id: str, stays_s: float = 0.0
    ) -> Self:
        """Hand the question to the router. Raises JobRefusedError when it is not taken at all."""
        request = JobRequest(
            messages=question.messages,
            requester=caller.requester,
            service_class="registered",
            request_id=request_id,
            sampling=question.sampling,
            model_name=question.model,
            may_wait_for_instance=False,
            beginning=question.beginning,
            keeper_note=keeper_note(caller) if stays_s else "",
        )
        return cls(question, caller, await job_submit(request=request), stays_s=stays_s)

    @property
    def offset(self) -> int:
        """Where the answer begins in the stream's text: after what the question gave."""
        return len(self.question.beginning)

    @property
    def text(self) -> str:
        """The answer so far."""
        return self.stream.text[self.offset :]

    @property
    def has_failed(self) -> bool:
        """Whether the job has ended without a whole answer."""
        ended = self.stream.ended
        return ended is not None and ended.finish_reason not in _WHOLE

    def head(self, request_id: str) -> Head:
        """Return what is known when the answer begins."""
        started = self.stream.started
        return Head(
            job_id=self.stream.job_id,
            model=started.model_name if started is not None else self.question.model,
            created=self.created,
            request_id=request_id,
        )

    def answer(self, head: Head) -> Answer:
        """Return the whole answer of a job that has ended. Raises ApiError when there is none."""
        ended = self.stream.ended
        if ended is not None and ended.error is not None:
            raise api_error_of_job(ended.error)
        if ended is None or ended.finish_reason is None or self.has_failed:
            raise ApiError(ErrorCode.ANSWER_INTERRUPTED, "The answer was stopped before its end.")
        return Answer(
            head=head,
            text=self.text,
            finish_reason=ended.finish_reason,
            usage=self.stream.usage,
        )

    @contextmanager
    def reader(self) -> Iterator[None]:
        """Count a reader; when the last has left, a job that has not ended is stopped."""
        self._readers += 1
        if self._stay is not None:
            self._stay.cancel()
        if self._is_followed and self._noting is None:
            self._noting = asyncio.create_task(reader_note(self.stream.job_id))
        try:
            yield
        finally:
            self._readers -= 1
            if self._readers:
                pass
            elif self._is_followed:
                self._stop_noting()
            elif self._stays_s and self.stream.ended is None:
                self._stay = asyncio.create_task(self._await_reader())
            else:
                self._settle()

    def _stop_noting(self) -> None:
        if self._noting is not None:
            self._noting.cancel()
            self._noting = None

    async def _await_reader(self) -> None:
        """Let the job go on for a while, for somebody who comes back to read it."""
        try:
            await reader_awaited(self.stream, self._stays_s)
        except JobMovedError:
            return  # its new home goes on with it
        self._settle()

    def _settle(self) -> None:
        """Stop a job that nobody reads, and have its tokens counted, once."""
        if self._readers or self._is_settled:
            return
        if self.stream.ended is None:
            job_cancel(job_id=self.stream.job_id, reason="nobody reads the answer")
        self._is_settled = True
        if self.stream.ended is None:
            # The router says when it has stopped; until then there is nothing to count.
            self._stay = asyncio.create_task(self._settle_at_end())
        else:
            self._finish()

    async def _settle_at_end(self) -> None:
        with suppress(JobMovedError):  # its new home has it counted
            await self.stream.wait_ended()
        self._finish()

    def _finish(self) -> None:
        call_count(self.stream, key_id=self._caller.key_id, user_id=self._caller.user_id)
        if self.when_settled is not None:
            self.when_settled()


async def reader_awaited(stream: JobStream, stays_s: float) -> None:
    """Wait for a job's end, but no longer than somebody may come back to read it, or reads it.

    Raises JobMovedError.
    """
    shared = named_jobs()
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(stays_s):
                await stream.wait_ended()
        if stream.ended is not None or shared is None:
            return
        try:
            if not await shared.is_read(stream.job_id):
                return
        except REDIS_AWAY:
            continue  # who reads it can't be told now


async def reader_note(job_id: str) -> None:
    """Say again and again that an answer is read here, until this is cancelled."""
    while shared := named_jobs():
        with suppress(*REDIS_AWAY):
            await shared.note_reader(job_id)
        await asyncio.sleep(CONF.reader_noted_s / 3)


def call_count(stream: JobStream, *, key_id: str, user_id: int) -> None:
    """Have a whole answer counted, or what there was of one that was stopped."""
    gate = ports.caller_gate.get_or_none()
    is_failed = stream.ended is None or stream.ended.error is not None
    has_tokens = stream.usage is not None or stream.completion_tokens > 0
    if gate is None or stream.started is None or is_failed or not has_tokens:
        return
    chars = stream.request.chars
    usage = stream.usage
    gate.record(
        CallRecord(
            key_id=key_id,
            user_id=user_id,
            model_name=stream.started.model_name,
            prompt_tokens=usage.prompt_tokens if usage else -(-chars // CONF.chars_per_token),
            completion_tokens=usage.completion_tokens if usage else stream.completion_tokens,
        )
    )


def keeper_note(caller: Caller) -> str:
    """Write down for whom an answer is counted, should another process have to do so."""
    return f"api {caller.user_id} {caller.key_id}"


class ApiKeeper:
    """Goes on with named requests whose process is gone; others have lost their reader."""

    def __init__(self) -> None:
        self._kept: set[asyncio.Task[None]] = set()

    async def adopt(self, stream: JobStream) -> bool:
        """Keep a job going for who sends its request again, and have it counted."""
        app, _, note = stream.request.keeper_note.partition(" ")
        if app != "api":
            return False
        user_id, _, key_id = note.partition(" ")
        kept = asyncio.create_task(_keep(stream, int(user_id), key_id))
        self._kept.add(kept)
        kept.add_done_callback(self._kept.discard)
        return True


async def _keep(stream: JobStream, user_id: int, key_id: str) -> None:
    with suppress(JobMovedError):  # the next home goes on with it
        await reader_awaited(stream, CONF.reader_awaited_s)
        if stream.ended is None:
            job_cancel(job_id=stream.job_id, reason="nobody reads the answer")
            await stream.wait_ended()
        call_count(stream, key_id=key_id, user_id=user_id)
