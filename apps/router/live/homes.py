"""The streams of the jobs whose home is this process: they are written here, and nowhere else.

What goes to an instance is told to the gateway that holds its link, which may be this one.
"""

import logging
from collections.abc import Callable
from functools import singledispatchmethod
from typing import Final, Protocol

from apps.router.core import effects, events, letters
from apps.router.core.events import Event
from apps.router.core.settings import CoreSettings
from apps.router.core.values import FailureCode, Refusal
from apps.router.errors import ErrorCode, JobError
from apps.router.live.streams import Ended, JobRequest, JobStream, Started, Waiting
from motherfluxer_wire import frames
from motherfluxer_wire.codec import encode
from motherfluxer_wire.errors import WireError

log = logging.getLogger(__name__)

ACK_EVERY_CHUNKS: Final = 16
ENDED_STREAM_KEPT_S: Final = 60.0
JOB_DEADLINE_MS: Final = 600_000
_INTERRUPTIONS: Final = frozenset({Refusal.INSTANCES_FAILED, Refusal.QUEUE_TIMEOUT})


class Keeper(Protocol):
    """Keeps what streams hold where another process can go on with it."""

    def open(self, stream: JobStream) -> None:
        """Keep all that happens to a stream from now on."""
        ...

    def when_safe(self, stream: JobStream, act: Callable[[], None]) -> None:
        """Act as soon as all that has happened to a stream so far is kept."""
        ...

    async def safe(self, stream: JobStream) -> bool:
        """Wait until all that has happened to a stream so far is kept; False: another has it."""
        ...

    def close(self, stream: JobStream) -> None:
        """Keep no more of a stream: another process does."""
        ...


class NoKeeper:
    """Keeps nothing: where there is one process, nobody could go on."""

    def open(self, stream: JobStream) -> None:
        """Do nothing."""

    def when_safe(self, _stream: JobStream, act: Callable[[], None]) -> None:
        """Act at once."""
        act()

    async def safe(self, _stream: JobStream) -> bool:
        """Wait for nothing."""
        return True

    def close(self, stream: JobStream) -> None:
        """Do nothing."""


class Homes:
    """The streams of this process, and what the router and the instances say of their jobs."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        settings: CoreSettings,
        publish: Callable[[Event], None],
        to_link: Callable[[letters.Between, str], None],
        keeper: Keeper,
    ) -> None:
        self.clock = clock
        self.settings = settings
        self.streams: dict[str, JobStream] = {}
        self.keeper = keeper
        self._publish = publish
        self._to_link = to_link

    def open(self, job_id: str, request: JobRequest) -> JobStream:
        """Begin a job's stream."""
        stream = JobStream(job_id, request, submitted_at=self.clock())
        self.streams[job_id] = stream
        self.keeper.open(stream)
        return stream

    def adopt(self, stream: JobStream, effect: letters.AdoptJob) -> None:
        """Become the home of a job that has lost its own, with what was kept of its stream."""
        self.streams[stream.job_id] = stream
        ids = {"job": stream.job_id, "attempt": effect.attempt}
        log.info("job adopted", extra={**ids, "request": stream.request.request_id})
        session = effect.session
        if session is None:
            stream.detach()
        elif stream.attempt == effect.attempt:
            stream.resume_attempt(session)
            moved = letters.HomeMoved(session, stream.job_id, stream.attempt, stream.next_seq)
            self._to_link(moved, session)
        else:
            self._publish(events.AttemptLost(session, stream.job_id, effect.attempt))

    def hand_over(self, stream: JobStream, handed_over: Callable[[], None]) -> None:
        """Stop writing a stream once all of it is kept; then say so."""

        def let_go() -> None:
            if stream.ended is None and not stream.is_moved:
                self.keeper.close(stream)
                stream.move_away()
                handed_over()

        self.keeper.when_safe(stream, let_go)

    def forget_old(self) -> None:
        """Drop streams that ended, or went to another home, a while ago."""
        now = self.clock()
        for job_id, stream in list(self.streams.items()):
            if stream.is_moved and stream.ended_at is None:
                stream.ended_at = now
            if stream.ended_at is not None and now - stream.ended_at > ENDED_STREAM_KEPT_S:
                del self.streams[job_id]

    def count(self, stream: JobStream) -> None:
        """Tell the router all that has come of an attempt which is about to end."""
        if stream.ended is None and stream.attempt_tokens:
            told = events.TokensCounted(stream.job_id, stream.attempt, stream.attempt_tokens)
            self._publish(told)

    # -- what instances say --------------------------------------------------------------------

    def chunk_came(self, session: str, chunk: frames.Chunk) -> bool:
        """Take a piece of an answer; False when it is nobody's. Raises WireError."""
        stream = self.streams.get(chunk.job)
        if stream is None or not stream.accept(chunk, owner=session):
            return False
        now = self.clock()
        if stream.has_news(now, every_s=self.settings.progress_s):
            stream.progressed_at, stream.has_told_text = now, bool(stream.text)
            tokens = stream.attempt_tokens
            self._publish(events.JobProgressed(chunk.job, chunk.attempt, tokens, bool(stream.text)))
        if stream.next_seq % ACK_EVERY_CHUNKS == 0:
            ack = letters.AckToLink(session, chunk.job, chunk.attempt, stream.next_seq)
            self.keeper.when_safe(stream, lambda: self._to_link(ack, session))
        return True

    def done_came(self, session: str, done: frames.Done) -> None:
        """Take the end of an attempt. Raises WireError when something is missing before it."""
        stream = self.streams.get(done.job)
        if stream and stream.is_complete(attempt=done.attempt, seq=done.seq, owner=session):
            stream.set_usage(done.usage)
        usage = done.usage
        told = events.AttemptDone(
            session,
            done.job,
            done.attempt,
            done.finish_reason,
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.cached_tokens or 0,
        )
        ack = letters.AckToLink(session, done.job, done.attempt, done.seq, is_end=True)
        self._over(stream, ack, told)

    def failed_came(self, session: str, failed: frames.Failed) -> None:
        """Take the failure of an attempt. Raises WireError when something is missing before it."""
        stream = self.streams.get(failed.job)
        if stream and stream.is_complete(attempt=failed.attempt, seq=failed.seq, owner=session):
            self.count(stream)
        code = FailureCode(failed.code)
        told = events.AttemptFailed(session, failed.job, failed.attempt, code, failed.message)
        ack = letters.AckToLink(session, failed.job, failed.attempt, failed.seq, is_end=True)
        self._over(stream, ack, told)
        ids = {"job": failed.job, "attempt": failed.attempt, "session": session}
        log.warning("attempt failed: %s", failed.code, extra=ids)

    def _over(self, stream: JobStream | None, ack: letters.AckToLink, told: Event) -> None:
        """Let the router and the instance know, once all that came before is kept."""
        if stream is not None and stream.is_moved:
            return  # its new home hears of it from the link

        def tell() -> None:
            self._to_link(ack, ack.session)
            self._publish(told)

        if stream is None:
            tell()
        else:
            self.keeper.when_safe(stream, tell)

    def resume_asked(self, asked: letters.ResumeAsked) -> letters.ResumeAnswered:
        """Let an attempt go on over its instance's new link, where that holds all of the rest."""
        stream = self.streams.get(asked.job_id)
        from_seq = None
        if stream and stream.can_resume(attempt=asked.attempt, next_seq=asked.next_seq):
            stream.resume_attempt(asked.session)
            from_seq = stream.next_seq
        return letters.ResumeAnswered(asked.session, asked.job_id, asked.attempt, from_seq)

    # -- what the router says ------------------------------------------------------------------

    @singledispatchmethod
    def perform(self, effect: effects.Effect) -> None:
        """Do what the router says of a job."""
        raise TypeError(type(effect))

    @perform.register
    def _(self, effect: effects.AssignJob) -> None:
        stream = self.streams.get(effect.job_id)
        if stream is None or stream.is_moved:
            return
        started = Started(effect.instance_name, effect.model_name, effect.attempt)
        stream.begin_attempt(started, owner=effect.session, fingerprint=effect.fingerprint)
        ids = {"job": stream.job_id, "attempt": effect.attempt, "instance": effect.instance_name}
        log.info("job assigned", extra={**ids, "request": stream.request.request_id})
        try:
            frame = encode(_job_frame(stream, effect))
        except WireError as error:
            code = FailureCode.BAD_REQUEST
            failed = events.AttemptFailed(
                effect.session, stream.job_id, effect.attempt, code, error.detail
            )
            self._publish(failed)
            return
        job = letters.JobToLink(effect.session, stream.job_id, effect.attempt, frame)
        self._to_link(job, effect.session)

    @perform.register
    def _(self, effect: effects.CancelAttempt) -> None:
        session, job_id = effect.session, effect.job_id
        cancel = letters.CancelToLink(session, job_id, effect.attempt, effect.reason)
        self._to_link(cancel, session)

    @perform.register
    def _(self, effect: effects.RequeueJob) -> None:
        if stream := self.streams.get(effect.job_id):
            stream.detach()

    @perform.register
    def _(self, effect: effects.ShowPlace) -> None:
        if stream := self.streams.get(effect.job_id):
            place = Waiting(
                effect.place, effect.waiting, effect.instances_online, effect.expected_wait_s
            )
            stream.set_place(place)

    @perform.register
    def _(self, effect: effects.FinishJob) -> None:
        self.end(effect.job_id, Ended(effect.finish_reason))

    @perform.register
    def _(self, effect: effects.RefuseJob) -> None:
        stream = self.streams.get(effect.job_id)
        code = ErrorCode(effect.refusal.value)
        if stream and stream.text and effect.refusal in _INTERRUPTIONS:
            code = ErrorCode.ANSWER_INTERRUPTED
        self.end(effect.job_id, Ended(None, JobError(code, effect.detail, effect.retry_after_s)))

    def end(self, job_id: str, ended: Ended) -> None:
        """End a job's stream."""
        if stream := self.streams.get(job_id):
            stream.end(ended, at=self.clock())
            outcome = ended.finish_reason or (ended.error and ended.error.code)
            ids = {"job": job_id, "request": stream.request.request_id}
            log.info("job ended: %s", outcome, extra={**ids, "attempt": stream.attempt})


def _job_frame(stream: JobStream, effect: effects.AssignJob) -> frames.Job:
    request = stream.request
    return frames.Job(
        job=stream.job_id,
        attempt=stream.attempt,
        model=effect.model_name,
        revision=effect.revision or None,
        messages=list(request.messages),
        prefix=stream.text,
        prefix_token_ids=stream.prefix_token_ids(effect.fingerprint),
        sampling=request.sampling,
        deadline_ms=JOB_DEADLINE_MS,
        service_class=request.service_class,
    )
