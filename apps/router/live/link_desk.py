"""The links that instances have with this process: what they say goes to the homes of their jobs.

A job's home may be this process or another; that is told by whoever sent the job's frame.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import singledispatchmethod
from typing import Final

from apps.router.core import effects, events, letters
from apps.router.core.events import Event
from apps.router.core.settings import CoreSettings
from apps.router.core.values import Offer, ServedModel
from apps.router.live.carrying import Carried, OfJob
from apps.router.live.credential_limits import CredentialLimits
from apps.router.live.links import InstanceLink
from motherfluxer_wire import frames, limits

log = logging.getLogger(__name__)

# A home that has died is followed by another within about three seconds.
RESUME_ANSWERED_WITHIN_S: Final = 5.0
MAX_UNSAFE_FRAMES_COUNT: Final = 20_000
# Heartbeats that come sooner after the last are left out: the next one says the same.
BEATS_APART_S: Final = 0.2


@dataclass(slots=True)
class Greeting:
    """A welcome that waits for the homes of the jobs that are to go on."""

    link: InstanceLink
    dropped: list[str]
    waits_for: dict[str, int]
    until: float
    resumed: list[frames.Resume] = field(default_factory=list)


class LinkDesk:
    """The links of this process."""

    def __init__(
        self,
        *,
        own_id: str,
        clock: Callable[[], float],
        settings: CoreSettings,
        publish: Callable[[Event], None],
        to_home: Callable[[letters.Between, str], None],
    ) -> None:
        self.own_id = own_id
        self.clock = clock
        self.settings = settings
        self.links: dict[str, InstanceLink] = {}
        self._greetings: dict[str, Greeting] = {}
        self._limits = CredentialLimits()
        self._publish = publish
        self._to_home = to_home

    def open(self, link: InstanceLink, hello: frames.Hello, held: list[frames.ResumeOffer]) -> None:
        """Take in an instance; `held`: what it offers to go on with that is not known to be lost.

        Raises WireError when it serves nothing allowed, TooMuchSaidError.
        """
        said_count = len(hello.models) + len(held)
        self._limits.count_said(link.admission.credential_id, said_count, now=self.clock())
        link.name, link.agent, link.region = hello.instance, hello.agent, hello.region
        link.heard_at, link.slots = self.clock(), hello.slots
        link.warnings = [
            f"The credential does not allow the model {name}; it gets no jobs."
            for name in link.serve(hello.models)
        ]
        link.offers = {offer.job: offer for offer in held}
        link.unknown_offers = [o.job for o in hello.resume if o.job not in link.offers]
        self.links[link.session] = link
        joined = events.InstanceJoined(
            link.session,
            link.instance_id,
            link.name,
            _served(link),
            hello.slots,
            tuple(Offer(offer.job, offer.attempt) for offer in held),
            hello.region,
        )
        self._publish(joined)
        log.info("instance joined", extra={"instance": link.name, "session": link.session})

    def close(self, link: InstanceLink) -> bool:
        """Forget a link that has ended; False when it was forgotten before."""
        self._greetings.pop(link.session, None)
        if self.links.pop(link.session, None) is None:
            return False
        link.close(limits.CLOSE_NORMAL, "")
        log.info("instance left", extra={"instance": link.name, "session": link.session})
        return True

    def tick(self) -> None:
        """Welcome those for whose jobs some home has not answered in time; these don't go on.

        Tell of changes that had to wait, and forget what was counted long ago.
        """
        now = self.clock()
        for link in self.links.values():
            if link.is_change_due:
                self._tell_change(link)
        for greeting in list(self._greetings.values()):
            if now > greeting.until:
                for job_id, attempt in list(greeting.waits_for.items()):
                    session = greeting.link.session
                    self.resume_answered(letters.ResumeAnswered(session, job_id, attempt, None))
        self._limits.forget_old(now)

    # -- what instances say --------------------------------------------------------------------

    def carried(self, link: InstanceLink, frame: OfJob) -> Carried | None:
        """Return where a frame of a job belongs; None when this link has no such attempt."""
        carried = link.carried.get(frame.job)
        return carried if carried is not None and carried.attempt == frame.attempt else None

    def let_go(self, link: InstanceLink, end: frames.Done | frames.Failed) -> None:
        """Let an instance forget an attempt that this link does not have; tell nobody."""
        link.send(frames.Ack(end.job, end.attempt, end.seq))

    def send_home(self, link: InstanceLink, carried: Carried, frame: OfJob) -> None:
        """Send a frame to its job's home in another process, and keep it until it is safe there."""
        if len(carried.unsafe) >= MAX_UNSAFE_FRAMES_COUNT:
            link.close(limits.CLOSE_OVERLOADED, "the site can't keep what you send")
            return
        carried.unsafe.append(frame)
        self._to_home(letters.FromLink(link.session, frame), carried.home)

    def heard(self, link: InstanceLink) -> None:
        """Tell the router, now and then, that a link lives."""
        now = self.clock()
        if now - link.heard_at >= self.settings.progress_s:
            link.heard_at = now
            self._publish(events.InstanceHeard(link.session))

    def beat(self, link: InstanceLink, frame: frames.Heartbeat) -> None:
        """Tell the router what an instance holds, however often that says it."""
        now = self.clock()
        if now - link.beat_at >= BEATS_APART_S:
            link.beat_at, link.slots = now, frame.slots
            running = tuple(frame.running)
            self._publish(events.HeartbeatReceived(link.session, running, frame.slots))

    def drained(self, link: InstanceLink) -> None:
        """Tell the router, once, that an instance wants no new jobs."""
        if not link.is_draining:
            link.is_draining = True
            self._publish(events.InstanceDraining(link.session))

    def changed(self, link: InstanceLink, frame: frames.ModelsChanged) -> None:
        """Note what an instance serves from now on, if that has changed. Raises WireError."""
        before = list(link.models.values()), link.slots
        link.serve(frame.models)
        if (list(link.models.values()), frame.slots) == before:
            self.heard(link)
            return
        link.slots = frame.slots
        self._tell_change(link)

    def _tell_change(self, link: InstanceLink) -> None:
        """Tell the router what a link serves now; later, when it has heard too much of that."""
        credential_id = link.admission.credential_id
        count = sum(one.admission.credential_id == credential_id for one in self.links.values())
        link.is_change_due = not self._limits.may_change(
            credential_id, links_count=count, now=self.clock()
        )
        if not link.is_change_due:
            self._publish(events.InstanceChanged(link.session, _served(link), link.slots))

    # -- what homes say ------------------------------------------------------------------------

    def job_came(self, source: str, job: letters.JobToLink) -> None:
        """Send an attempt's first frame on."""
        if link := self.links.get(job.session):
            link.carried[job.job_id] = Carried(job.attempt, source)
            link.send_text(job.frame)

    def cancel_came(self, source: str, cancel: letters.CancelToLink) -> None:
        """Tell an instance to stop; the slot of an attempt that never came here is still taken."""
        if link := self.links.get(cancel.session):
            carried = link.carried.get(cancel.job_id)
            if carried is None or carried.attempt < cancel.attempt:
                link.carried[cancel.job_id] = Carried(cancel.attempt, source)
            link.send(frames.Cancel(cancel.job_id, cancel.attempt, cancel.reason))

    def ack_came(self, ack: letters.AckToLink) -> None:
        """Tell an instance what it may forget, and forget it here."""
        link = self.links.get(ack.session)
        if link is None:
            return
        link.send(frames.Ack(ack.job_id, ack.attempt, ack.seq))
        carried = link.carried.get(ack.job_id)
        if carried is None or carried.attempt != ack.attempt:
            return
        carried.acknowledge(ack.seq)
        if ack.is_end:
            del link.carried[ack.job_id]

    def home_moved(self, source: str, moved: letters.HomeMoved) -> None:
        """Send all that is not safe to a job's new home, and what comes from now on."""
        link = self.links.get(moved.session)
        if self._is_waited_for(moved):
            held = link is not None and link.offers[moved.job_id].next_seq >= moved.next_seq
            from_seq = moved.next_seq if held else None
            ids = moved.session, moved.job_id, moved.attempt
            self.resume_answered(letters.ResumeAnswered(*ids, from_seq), source)
            return
        carried = link.carried.get(moved.job_id) if link else None
        if link is None or carried is None or carried.attempt != moved.attempt:
            lost = events.AttemptLost(moved.session, moved.job_id, moved.attempt)
            self._publish(lost)
            return
        carried.home = source
        carried.acknowledge(moved.next_seq)
        for frame in carried.unsafe:
            self._to_home(letters.FromLink(link.session, frame), source)

    def _is_waited_for(self, moved: letters.HomeMoved) -> bool:
        greeting = self._greetings.get(moved.session)
        return greeting is not None and greeting.waits_for.get(moved.job_id) == moved.attempt

    def resume_answered(self, answer: letters.ResumeAnswered, source: str = "") -> None:
        """Note a home's answer; the last one lets the welcome go."""
        greeting = self._greetings.get(answer.session)
        if greeting is None or greeting.waits_for.pop(answer.job_id, None) is None:
            return
        if answer.from_seq is None:
            greeting.dropped.append(answer.job_id)
            self._publish(events.AttemptLost(answer.session, answer.job_id, answer.attempt))
        else:
            link = greeting.link
            link.carried[answer.job_id] = Carried(answer.attempt, source)
            resume = frames.Resume(answer.job_id, answer.attempt, answer.from_seq)
            greeting.resumed.append(resume)
        if not greeting.waits_for:
            self._welcome(greeting)

    # -- what the router says ------------------------------------------------------------------

    @singledispatchmethod
    def perform(self, effect: effects.Effect) -> None:
        """Do what the router says of a link."""
        raise TypeError(type(effect))

    @perform.register
    def _(self, effect: effects.WelcomeInstance) -> None:
        link = self.links.get(effect.session)
        if link is None:
            return
        greeting = Greeting(
            link,
            [*effect.dropped, *link.unknown_offers],
            {offer.job_id: offer.attempt for offer in effect.resumed},
            self.clock() + RESUME_ANSWERED_WITHIN_S,
        )
        self._greetings[link.session] = greeting
        homes = effect.homes or (self.own_id,) * len(effect.resumed)
        for offer, home in zip(effect.resumed, homes, strict=True):
            next_seq = link.offers[offer.job_id].next_seq
            asked = letters.ResumeAsked(link.session, offer.job_id, offer.attempt, next_seq)
            self._to_home(asked, home)
        if not effect.resumed:
            self._welcome(greeting)

    @perform.register
    def _(self, effect: effects.CloseLink) -> None:
        if link := self.links.pop(effect.session, None):
            self._greetings.pop(effect.session, None)
            link.close(effect.code, effect.reason)

    def _welcome(self, greeting: Greeting) -> None:
        link = greeting.link
        self._greetings.pop(link.session, None)
        link.send(
            frames.Welcome(
                protocol=limits.PROTOCOL,
                session=link.session,
                heartbeat_s=self.settings.heartbeat_s,
                resume=greeting.resumed,
                drop=greeting.dropped,
                warnings=link.warnings,
            )
        )


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
