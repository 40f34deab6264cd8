"""A gateway: holds links and streams, turns frames into events, and does what the router says."""

import logging
import secrets
from collections.abc import Callable
from dataclasses import replace
from functools import singledispatchmethod
from hashlib import blake2b
from typing import Final
from uuid import uuid4

import msgspec

from apps.router.core import effects, events
from apps.router.core.settings import CoreSettings
from apps.router.core.values import (
    AttemptEnded,
    AttemptOutcome,
    FailureCode,
    Offer,
    Refusal,
    ServedModel,
    ServiceClass,
)
from apps.router.errors import ErrorCode, JobError, JobRefusedError
from apps.router.live.bus import Bus
from apps.router.live.decisions import DecisionRecord
from apps.router.live.links import InstanceLink
from apps.router.live.streams import Ended, JobRequest, JobStream, Started, Waiting
from motherfluxer_wire import frames, limits
from motherfluxer_wire.errors import WireError

log = logging.getLogger(__name__)

ACK_EVERY_CHUNKS: Final = 16
CHARS_PER_TOKEN: Final = 4
MOST_CHARS_PER_TOKEN: Final = 16
ENDED_STREAM_KEPT_S: Final = 60.0
JOB_DEADLINE_MS: Final = 600_000
_INTERRUPTIONS: Final = frozenset({Refusal.INSTANCES_FAILED, Refusal.QUEUE_TIMEOUT})
MAX_MESSAGES_BYTES: Final = limits.MAX_FRAME_BYTES * 3 // 4


class Gateway:
    """The edge of the router in one process. Everything here runs in the event loop, unawaited."""

    def __init__(self, *, bus: Bus, clock: Callable[[], float], settings: CoreSettings) -> None:
        self.bus = bus
        self.clock = clock
        self.settings = settings
        self.links: dict[str, InstanceLink] = {}
        self.streams: dict[str, JobStream] = {}
        self.decisions = DecisionRecord()
        self.is_draining = False
        self._conversation_key = secrets.token_bytes(32)

    # -- readers -----------------------------------------------------------------------------

    def submit(self, request: JobRequest) -> JobStream:
        """Hand a job to the router. Raises JobRefusedError when it is refused at once."""
        if self.is_draining:
            words = "The site is restarting. Try again in a moment."
            raise JobRefusedError(JobError(ErrorCode.SHUTTING_DOWN, words, retry_after_s=5))
        if len(msgspec.json.encode(request.messages)) > MAX_MESSAGES_BYTES:
            words = f"The conversation is over {MAX_MESSAGES_BYTES} bytes. Shorten it."
            raise JobRefusedError(JobError(ErrorCode.REQUEST_TOO_LARGE, words))
        if request.sampling.seed is None:
            seeded = msgspec.structs.replace(request.sampling, seed=secrets.randbelow(2**31))
            request = replace(request, sampling=seeded)
        stream = JobStream(uuid4().hex, request, submitted_at=self.clock())
        self.streams[stream.job_id] = stream
        self.bus.publish(
            events.JobSubmitted(
                stream.job_id,
                request.requester,
                ServiceClass(request.service_class),
                request.model_name,
                request.may_wait_for_instance,
                prompt_tokens=-(-request.chars // CHARS_PER_TOKEN),
                least_prompt_tokens=request.chars // MOST_CHARS_PER_TOKEN,
                conversation=self._conversation_of(request),
                has_text=bool(request.beginning),
            )
        )
        if stream.ended is not None and stream.ended.error is not None:
            del self.streams[stream.job_id]
            raise JobRefusedError(stream.ended.error)
        log.info("job submitted", extra={"job": stream.job_id, "request": request.request_id})
        return stream

    def cancel(self, job_id: str, reason: str) -> None:
        """Stop a job."""
        if stream := self.streams.get(job_id):
            self._count(stream)
        self.bus.publish(events.JobCancelled(job_id, reason))

    def forget_old_streams(self) -> None:
        """Drop streams that ended a while ago."""
        now = self.clock()
        for job_id, stream in list(self.streams.items()):
            if stream.ended_at is not None and now - stream.ended_at > ENDED_STREAM_KEPT_S:
                del self.streams[job_id]

    # -- links -------------------------------------------------------------------------------

    def link_opened(self, link: InstanceLink, hello: frames.Hello) -> None:
        """Take in an instance whose hello came. Raises WireError when it serves nothing allowed."""
        link.name, link.agent, link.region = hello.instance, hello.agent, hello.region
        link.heard_at = self.clock()
        link.warnings = [
            f"The credential does not allow the model {name}; it gets no jobs."
            for name in link.serve(hello.models)
        ]
        held = [offer for offer in hello.resume if self._can_resume(offer)]
        link.unknown_offers = [offer.job for offer in hello.resume if offer not in held]
        self.links[link.session] = link
        offers = tuple(Offer(offer.job, offer.attempt) for offer in held)
        joined = events.InstanceJoined(
            link.session,
            link.instance_id,
            link.name,
            _served(link),
            hello.slots,
            offers,
            hello.region,
        )
        self.bus.publish(joined)
        log.info("instance joined", extra={"instance": link.name, "session": link.session})

    def link_closed(self, link: InstanceLink) -> None:
        """Forget a link that has ended."""
        if self.links.pop(link.session, None) is not None:
            link.close(limits.CLOSE_NORMAL, "")
            for stream in self.streams.values():
                if stream.owner == link.session:
                    self._count(stream)
            self.bus.publish(events.LinkBroken(link.session))
            log.info("instance left", extra={"instance": link.name, "session": link.session})

    @singledispatchmethod
    def frame_received(self, frame: frames.Frame, link: InstanceLink) -> None:
        """Act on one frame of a link. Raises WireError when it breaks a rule."""
        raise TypeError(type(frame))

    @frame_received.register
    def _(self, frame: frames.Heartbeat, link: InstanceLink) -> None:
        running = tuple(frame.running)
        self.bus.publish(events.HeartbeatReceived(link.session, running, frame.slots))

    @frame_received.register
    def _(self, frame: frames.ModelsChanged, link: InstanceLink) -> None:
        link.serve(frame.models)
        self.bus.publish(events.InstanceChanged(link.session, _served(link), frame.slots))

    @frame_received.register
    def _(self, frame: frames.Draining, link: InstanceLink) -> None:
        self.bus.publish(events.InstanceDraining(link.session))

    @frame_received.register
    def _(self, frame: frames.Batch, link: InstanceLink) -> None:
        for part in frame.frames:
            self.frame_received(part, link)

    @frame_received.register
    def _(self, frame: frames.Chunk, link: InstanceLink) -> None:
        stream = self.streams.get(frame.job)
        if stream is None or not stream.accept(frame, owner=link.session):
            self._heard(link)
            return
        now = self.clock()
        if stream.has_news(now, every_s=self.settings.progress_s):
            stream.progressed_at, stream.has_told_text = now, bool(stream.text)
            tokens = stream.attempt_tokens
            self.bus.publish(
                events.JobProgressed(frame.job, frame.attempt, tokens, bool(stream.text))
            )
        if stream.next_seq % ACK_EVERY_CHUNKS == 0:
            link.send(frames.Ack(frame.job, frame.attempt, stream.next_seq))

    @frame_received.register
    def _(self, frame: frames.Done, link: InstanceLink) -> None:
        stream = self.streams.get(frame.job)
        if stream and stream.is_complete(attempt=frame.attempt, seq=frame.seq, owner=link.session):
            stream.set_usage(frame.usage)
        link.send(frames.Ack(frame.job, frame.attempt, frame.seq))
        usage = frame.usage
        self.bus.publish(
            events.AttemptDone(
                link.session,
                frame.job,
                frame.attempt,
                frame.finish_reason,
                usage.prompt_tokens,
                usage.completion_tokens,
                usage.cached_tokens or 0,
            )
        )

    @frame_received.register
    def _(self, frame: frames.Failed, link: InstanceLink) -> None:
        stream = self.streams.get(frame.job)
        if stream and stream.is_complete(attempt=frame.attempt, seq=frame.seq, owner=link.session):
            self._count(stream)
        link.send(frames.Ack(frame.job, frame.attempt, frame.seq))
        code = FailureCode(frame.code)
        self.bus.publish(
            events.AttemptFailed(link.session, frame.job, frame.attempt, code, frame.message)
        )
        ids = {"job": frame.job, "attempt": frame.attempt, "instance": link.name}
        log.warning("attempt failed: %s", frame.code, extra=ids)

    # -- effects -----------------------------------------------------------------------------

    @singledispatchmethod
    def perform(self, effect: effects.Effect) -> None:
        """Do what the router says."""
        raise TypeError(type(effect))

    @perform.register
    def _(self, effect: effects.WelcomeInstance) -> None:
        link = self.links[effect.session]
        resume = []
        for offer in effect.resumed:
            stream = self.streams[offer.job_id]
            stream.resume_attempt(link.session)
            resume.append(frames.Resume(offer.job_id, offer.attempt, stream.next_seq))
        link.send(
            frames.Welcome(
                protocol=limits.PROTOCOL,
                session=link.session,
                heartbeat_s=self.settings.heartbeat_s,
                resume=resume,
                drop=[*effect.dropped, *link.unknown_offers],
                warnings=link.warnings,
            )
        )

    @perform.register
    def _(self, effect: effects.AssignJob) -> None:
        link, stream = self.links[effect.session], self.streams[effect.job_id]
        model = link.models[effect.model_name]
        started = Started(link.name, model.name, effect.attempt)
        stream.begin_attempt(started, owner=link.session, fingerprint=model.fingerprint)
        ids = {"job": stream.job_id, "attempt": effect.attempt, "instance": link.name}
        log.info("job assigned", extra={**ids, "request": stream.request.request_id})
        try:
            link.send(_job_frame(stream, model))
        except WireError as error:
            code = FailureCode.BAD_REQUEST
            failed = events.AttemptFailed(
                link.session, stream.job_id, effect.attempt, code, error.detail
            )
            self.bus.publish(failed)

    @perform.register
    def _(self, effect: effects.CancelAttempt) -> None:
        if link := self.links.get(effect.session):
            link.send(frames.Cancel(effect.job_id, effect.attempt, effect.reason))

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
        self._end(effect.job_id, Ended(effect.finish_reason))

    @perform.register
    def _(self, effect: effects.RefuseJob) -> None:
        stream = self.streams.get(effect.job_id)
        code = ErrorCode(effect.refusal.value)
        if stream and stream.text and effect.refusal in _INTERRUPTIONS:
            code = ErrorCode.ANSWER_INTERRUPTED
        self._end(effect.job_id, Ended(None, JobError(code, effect.detail, effect.retry_after_s)))

    @perform.register
    def _(self, effect: effects.CloseLink) -> None:
        if link := self.links.pop(effect.session, None):
            link.close(effect.code, effect.reason)

    @perform.register
    def _(self, effect: effects.RecordDecision) -> None:
        self.decisions.add(effect.decision)

    @perform.register
    def _(self, effect: effects.RecordAttemptEnd) -> None:
        self.decisions.add(self._counted(effect.ended))

    # -- inner parts -------------------------------------------------------------------------

    def _end(self, job_id: str, ended: Ended) -> None:
        if stream := self.streams.get(job_id):
            stream.end(ended, at=self.clock())
            outcome = ended.finish_reason or (ended.error and ended.error.code)
            ids = {"job": job_id, "request": stream.request.request_id}
            log.info("job ended: %s", outcome, extra={**ids, "attempt": stream.attempt})

    def _count(self, stream: JobStream) -> None:
        """Tell the router all that has come of an attempt which is about to end."""
        if stream.ended is None and stream.attempt_tokens:
            told = events.TokensCounted(stream.job_id, stream.attempt, stream.attempt_tokens)
            self.bus.publish(told)

    def _counted(self, ended: AttemptEnded) -> AttemptEnded:
        """Return an end with the tokens that came; the core heard of them only now and then."""
        stream = self.streams.get(ended.job_id)
        if ended.outcome is AttemptOutcome.DONE or not stream or stream.attempt != ended.attempt:
            return ended
        return msgspec.structs.replace(ended, tokens=stream.attempt_tokens)

    def _can_resume(self, offer: frames.ResumeOffer) -> bool:
        stream = self.streams.get(offer.job)
        return stream is not None and stream.can_resume(
            attempt=offer.attempt, next_seq=offer.next_seq
        )

    def _conversation_of(self, request: JobRequest) -> str:
        """Return what all turns of a conversation share: its beginning, as a keyed digest."""
        beginning = [m.content for m in request.messages[: _first_question(request) + 1]]
        digest = blake2b(key=self._conversation_key, digest_size=12)
        digest.update(msgspec.json.encode([request.requester, *beginning]))
        return digest.hexdigest()

    def _heard(self, link: InstanceLink) -> None:
        now = self.clock()
        if now - link.heard_at >= self.settings.progress_s:
            link.heard_at = now
            self.bus.publish(events.InstanceHeard(link.session))


def _first_question(request: JobRequest) -> int:
    roles = [message.role for message in request.messages]
    return roles.index("user") if "user" in roles else len(roles)


def _served(link: InstanceLink) -> tuple[ServedModel, ...]:
    return tuple(
        ServedModel(
            name=model.name,
            context_tokens=model.context_tokens,
            max_output_tokens=model.max_output_tokens,
            revision=model.revision,
            fingerprint=model.fingerprint,
            can_continue=model.can_continue,
        )
        for model in link.models.values()
    )


def _job_frame(stream: JobStream, model: frames.Model) -> frames.Job:
    request = stream.request
    return frames.Job(
        job=stream.job_id,
        attempt=stream.attempt,
        model=model.name,
        revision=model.revision or None,
        messages=list(request.messages),
        prefix=stream.text,
        prefix_token_ids=stream.prefix_token_ids(model.fingerprint),
        sampling=request.sampling,
        deadline_ms=JOB_DEADLINE_MS,
        service_class=request.service_class,
    )
