"""A gateway: the links and the streams of one process, and who is told what between them.

Everything here runs in the event loop, unawaited, but for handing in a job.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import replace
from functools import singledispatchmethod
from hashlib import blake2b
from typing import Final
from uuid import uuid4

import msgspec

from apps.router.core import effects, events, letters
from apps.router.core.settings import CoreSettings
from apps.router.core.values import AttemptEnded, AttemptOutcome, ServiceClass
from apps.router.errors import ErrorCode, JobError, JobRefusedError
from apps.router.live.bus import Bus
from apps.router.live.decisions import DecisionRecord
from apps.router.live.homes import Homes, Keeper, NoKeeper
from apps.router.live.link_desk import LinkDesk
from apps.router.live.links import InstanceLink
from apps.router.live.streams import Ended, JobRequest, JobStream
from motherfluxer_wire import frames, limits
from motherfluxer_wire.errors import WireError

log = logging.getLogger(__name__)

CHARS_PER_TOKEN: Final = 4
MOST_CHARS_PER_TOKEN: Final = 16
MAX_MESSAGES_BYTES: Final = limits.MAX_FRAME_BYTES * 3 // 4
# A next router takes over within three seconds.
TAKEN_WITHIN_S: Final = 6.0

Courier = Callable[[str, letters.Between], None]


def nobody_else(gateway_id: str, _letter: letters.Between) -> None:
    """Stand for a courier where there is one gateway."""
    raise LookupError(gateway_id)


class Gateway:
    """The edge of the router in one process.

    courier: takes letters to other gateways. is_alone: there are no others, so that what is not
    known here is not known at all.
    """

    def __init__(
        self,
        *,
        bus: Bus,
        clock: Callable[[], float],
        settings: CoreSettings,
        own_id: str = "",
        courier: Courier = nobody_else,
        keeper: Keeper | None = None,
        conversation_key: bytes | None = None,
    ) -> None:
        self.bus = bus
        self.settings = settings
        self.own_id = own_id or secrets.token_hex(4)
        self.is_alone = courier is nobody_else
        self.is_draining = False
        self.decisions = DecisionRecord()
        self.clock = clock
        self._courier = courier
        self._conversation_key = conversation_key or secrets.token_bytes(32)
        self.homes = Homes(
            clock=lambda: self.clock(),
            settings=settings,
            publish=self._publish,
            to_link=self._to_link,
            keeper=keeper or NoKeeper(),
        )
        self.desk = LinkDesk(
            own_id=self.own_id,
            clock=lambda: self.clock(),
            settings=settings,
            publish=self._publish,
            to_home=self._deliver,
        )
        self.links = self.desk.links
        self.streams = self.homes.streams

    # -- readers -----------------------------------------------------------------------------

    async def submit(self, request: JobRequest) -> JobStream:
        """Hand a job to the router; wait until it is kept and the router has said something of it.

        Raises JobRefusedError.
        """
        self._check(request)
        if request.sampling.seed is None:
            seeded = msgspec.structs.replace(request.sampling, seed=secrets.randbelow(2**31))
            request = replace(request, sampling=seeded)
        stream = self.homes.open(uuid4().hex, request)
        self.bus.publish(self._submitted(stream))
        try:
            await self._wait_kept_and_taken(stream)
            if stream.ended is not None and stream.ended.error is not None:
                del self.streams[stream.job_id]
                raise JobRefusedError(stream.ended.error)
        except asyncio.CancelledError:
            self.cancel(stream.job_id, "the reader left")
            raise
        log.info("job submitted", extra={"job": stream.job_id, "request": request.request_id})
        return stream

    def tell_anew(self, stream: JobStream) -> None:
        """Tell a router that has lost its memory of a job; its answer goes on where it stands."""
        if stream.ended is not None or stream.is_moved:
            return
        stream.detach()

        def tell() -> None:
            if stream.ended is None:
                told = self._submitted(stream)
                self.bus.publish(msgspec.structs.replace(told, last_attempt=stream.attempt))

        self.homes.keeper.when_safe(stream, tell)

    def cancel(self, job_id: str, reason: str) -> None:
        """Stop a job."""
        if stream := self.streams.get(job_id):
            self.homes.count(stream)
        self.bus.publish(events.JobCancelled(job_id, reason))

    def cancel_all(self, requester: str, reason: str) -> None:
        """Stop all jobs of one who asks, wherever they were handed in."""
        for stream in self.streams.values():
            if stream.request.requester == requester:
                self.homes.count(stream)
        self.bus.publish(events.RequesterLeft(requester, reason))

    def tick(self) -> None:
        """Do what is due."""
        self.homes.forget_old()
        self.desk.tick()

    # -- links -------------------------------------------------------------------------------

    def link_opened(self, link: InstanceLink, hello: frames.Hello) -> None:
        """Take in an instance whose hello came. Raises WireError when it serves nothing allowed."""
        self.desk.open(link, hello, [offer for offer in hello.resume if self._may_go_on(offer)])

    def link_closed(self, link: InstanceLink) -> None:
        """Forget a link that has ended."""
        if self.desk.close(link):
            for stream in self.streams.values():
                if stream.owner == link.session:
                    self.homes.count(stream)
            self.bus.publish(events.LinkBroken(link.session))

    @singledispatchmethod
    def frame_received(self, frame: frames.Frame, link: InstanceLink) -> None:
        """Act on one frame of a link. Raises WireError when it breaks a rule."""
        raise TypeError(type(frame))

    @frame_received.register
    def _(self, frame: frames.Heartbeat, link: InstanceLink) -> None:
        self.desk.beat(link, frame)

    @frame_received.register
    def _(self, frame: frames.ModelsChanged, link: InstanceLink) -> None:
        self.desk.changed(link, frame)

    @frame_received.register
    def _(self, frame: frames.Draining, link: InstanceLink) -> None:
        self.desk.drained(link)

    @frame_received.register
    def _(self, frame: frames.Batch, link: InstanceLink) -> None:
        receive = self.frame_received  # singledispatchmethod makes it anew at each access
        for part in frame.frames:
            receive(part, link)

    @frame_received.register
    def _(self, frame: frames.Chunk, link: InstanceLink) -> None:
        carried = self.desk.carried(link, frame)
        if carried is not None and carried.home != self.own_id:
            self.desk.send_home(link, carried, frame)
        elif not self.homes.chunk_came(link.session, frame):
            self.desk.heard(link)

    @frame_received.register(frames.Done)
    @frame_received.register(frames.Failed)
    def _(self, frame: frames.Done | frames.Failed, link: InstanceLink) -> None:
        carried = self.desk.carried(link, frame)
        if carried is None:
            self.desk.let_go(link, frame)
        elif carried.is_over:
            return  # its first end is on its way, and is acknowledged when that is kept
        else:
            carried.is_over = True
            if carried.home != self.own_id:
                self.desk.send_home(link, carried, frame)
            else:
                self._end_came(link.session, frame)

    # -- other gateways ------------------------------------------------------------------------

    @singledispatchmethod
    def received(self, letter: letters.Between, source: str) -> None:
        """Act on a letter from a gateway, which may be this one."""
        raise TypeError(type(letter))

    @received.register
    def _(self, letter: letters.JobToLink, source: str) -> None:
        self.desk.job_came(source, letter)

    @received.register
    def _(self, letter: letters.CancelToLink, source: str) -> None:
        self.desk.cancel_came(source, letter)

    @received.register
    def _(self, letter: letters.AckToLink, source: str) -> None:
        self.desk.ack_came(letter)

    @received.register
    def _(self, letter: letters.HomeMoved, source: str) -> None:
        self.desk.home_moved(source, letter)

    @received.register
    def _(self, letter: letters.ResumeAsked, source: str) -> None:
        self._deliver(self.homes.resume_asked(letter), source)

    @received.register
    def _(self, letter: letters.ResumeAnswered, source: str) -> None:
        self.desk.resume_answered(letter, source)

    @received.register
    def _(self, letter: letters.LinkEnded, source: str) -> None:
        if link := self.links.get(letter.session):
            link.close(limits.CLOSE_PROTOCOL_ERROR, letter.reason)
            self.link_closed(link)

    @received.register
    def _(self, letter: letters.FromLink, source: str) -> None:
        try:
            if isinstance(letter.frame, frames.Chunk):
                self.homes.chunk_came(letter.session, letter.frame)
            else:
                self._end_came(letter.session, letter.frame)
        except WireError as error:
            ended = letters.LinkEnded(letter.session, error.close_reason)
            self._to_link(ended, letter.session)

    # -- effects -----------------------------------------------------------------------------

    def perform(self, effect: effects.Effect) -> None:
        """Do what the router says."""
        match effect:
            case effects.WelcomeInstance() | effects.CloseLink():
                self.desk.perform(effect)
            case effects.RecordDecision():
                self.decisions.add(effect.decision)
            case effects.RecordAttemptEnd():
                self.decisions.add(self._counted(effect.ended))
            case _:
                self.homes.perform(effect)

    # -- inner parts -------------------------------------------------------------------------

    def _publish(self, event: events.Event) -> None:
        self.bus.publish(event)

    def _to_link(self, letter: letters.Between, session: str) -> None:
        is_here = self.is_alone or session in self.links
        self._deliver(letter, self.own_id if is_here else letters.gateway_of(session))

    def _deliver(self, letter: letters.Between, gateway_id: str) -> None:
        if gateway_id == self.own_id:
            self.received(letter, gateway_id)
        else:
            self._courier(gateway_id, letter)

    def _end_came(self, session: str, frame: frames.Done | frames.Failed) -> None:
        if isinstance(frame, frames.Done):
            self.homes.done_came(session, frame)
        else:
            self.homes.failed_came(session, frame)

    def _check(self, request: JobRequest) -> None:
        if self.is_draining:
            words = "The site is restarting. Try again in a moment."
            raise JobRefusedError(JobError(ErrorCode.SHUTTING_DOWN, words, retry_after_s=5))
        if len(msgspec.json.encode(request.messages)) > MAX_MESSAGES_BYTES:
            words = f"The conversation is over {MAX_MESSAGES_BYTES} bytes. Shorten it."
            raise JobRefusedError(JobError(ErrorCode.REQUEST_TOO_LARGE, words))

    async def _wait_kept_and_taken(self, stream: JobStream) -> None:
        try:
            async with asyncio.timeout(TAKEN_WITHIN_S):
                await self.homes.keeper.safe(stream)
                await stream.wait_taken()
        except TimeoutError:
            words = "The site's router can't be reached just now. Try again in a moment."
            error = JobError(ErrorCode.ROUTER_AWAY, words, retry_after_s=5)
            self.homes.count(stream)
            self.homes.end(stream.job_id, Ended(None, error))
            self.bus.publish(events.JobCancelled(stream.job_id, "the router did not answer"))

    def _submitted(self, stream: JobStream) -> events.JobSubmitted:
        request, started = stream.request, stream.started
        return events.JobSubmitted(
            stream.job_id,
            request.requester,
            ServiceClass(request.service_class),
            started.model_name if started else request.model_name,
            request.may_wait_for_instance,
            prompt_tokens=-(-request.chars // CHARS_PER_TOKEN),
            least_prompt_tokens=request.chars // MOST_CHARS_PER_TOKEN,
            conversation=self._conversation_of(request),
            has_text=bool(stream.text),
        )

    def _counted(self, ended: AttemptEnded) -> AttemptEnded:
        """Return an end with the tokens that came; the core heard of them only now and then."""
        stream = self.streams.get(ended.job_id)
        if ended.outcome is AttemptOutcome.DONE or not stream or stream.attempt != ended.attempt:
            return ended
        return msgspec.structs.replace(ended, tokens=stream.attempt_tokens)

    def _may_go_on(self, offer: frames.ResumeOffer) -> bool:
        """Whether an attempt may go on, as far as that is known here."""
        stream = self.streams.get(offer.job)
        if stream is None or stream.is_moved:
            return not self.is_alone
        return stream.can_resume(attempt=offer.attempt, next_seq=offer.next_seq)

    def _conversation_of(self, request: JobRequest) -> str:
        """Return what all turns of a conversation share: its beginning, as a keyed digest."""
        beginning = [m.content for m in request.messages[: _first_question(request) + 1]]
        digest = blake2b(key=self._conversation_key, digest_size=12)
        digest.update(msgspec.json.encode([request.requester, *beginning]))
        return digest.hexdigest()


def _first_question(request: JobRequest) -> int:
    roles = [message.role for message in request.messages]
    return roles.index("user") if "user" in roles else len(roles)
