"""A job of the API: its stream, those who read it, and what is counted at its end."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Self

from apps.api.conf import CONF
from apps.api.dialects.base import Answer, Head, Question
from apps.api.errors import ApiError, api_error_of_job
from apps.router import ports
from apps.router.errors import ErrorCode
from apps.router.live.streams import JobRequest, JobStream
from apps.router.ports import Caller, CallRecord
from apps.router.services import job_cancel, job_submit

_WHOLE = frozenset({"stop", "length"})


class ApiJob:
    """A question at the router, and what all who read its answer are told alike.

    stays_s: so long the job goes on without a reader before it is stopped.
    when_settled: is called once when it has ended, or soon after, and nobody reads it any more.
    """

    def __init__(
        self, question: Question, caller: Caller, stream: JobStream, *, stays_s: float = 0.0
    ) -> None:
        self.question = question
        self.stream = stream
        self.when_settled: Callable[[], None] | None = None
        self._caller = caller
        self._created = int(time.time())
        self._stays_s = stays_s
        self._readers = 0
        self._stay: asyncio.Task[None] | None = None
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
            created=self._created,
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
        try:
            yield
        finally:
            self._readers -= 1
            if not self._readers and self._stays_s and self.stream.ended is None:
                self._stay = asyncio.create_task(self._await_reader())
            else:
                self._settle()

    async def _await_reader(self) -> None:
        """Let the job go on for a while, for somebody who comes back to read it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._stays_s):
                await self.stream.wait_ended()
        self._settle()

    def _settle(self) -> None:
        """Stop a job that nobody reads, and have its tokens counted, once."""
        if self._readers:
            return
        if self.stream.ended is None:
            job_cancel(job_id=self.stream.job_id, reason="nobody reads the answer")
        if not self._is_settled:
            self._is_settled = True
            self._record()
            if self.when_settled is not None:
                self.when_settled()

    def _record(self) -> None:
        """Have a whole answer counted, or what there was of one that was stopped."""
        stream, gate = self.stream, ports.caller_gate.get_or_none()
        is_failed = stream.ended is None or stream.ended.error is not None
        has_tokens = stream.usage is not None or stream.completion_tokens > 0
        if gate is None or stream.started is None or is_failed or not has_tokens:
            return
        chars = stream.request.chars
        usage = stream.usage
        gate.record(
            CallRecord(
                key_id=self._caller.key_id,
                user_id=self._caller.user_id,
                model_name=stream.started.model_name,
                prompt_tokens=usage.prompt_tokens if usage else -(-chars // CONF.chars_per_token),
                completion_tokens=usage.completion_tokens if usage else stream.completion_tokens,
            )
        )
