"""What processes tell each other beside the core's events and effects, one struct each. Pure.

A gateway's letters to the router stand among its events; the router's to a gateway are effects;
`Between` goes from one gateway to another: the one that holds a job's stream (its home) and the
one that holds the link of the instance that answers.
"""

from msgspec import Struct

from apps.router.core.effects import Effect
from motherfluxer_wire.frames import Chunk, Done, Failed


class Letter(Struct, frozen=True, tag=True):
    """What a gateway tells the router of itself; it stands among the core's events."""


class GatewayCame(Letter, frozen=True):
    """A gateway has begun. `version`: of the site's code.

    is_anew: it began before, and tells all that it has anew.
    """

    version: str
    is_anew: bool = False


class GatewayAlive(Letter, frozen=True):
    """Nothing but that the gateway lives; sent when nothing else was for a while."""


class GatewayLeaving(Letter, frozen=True):
    """The gateway takes no new links and no more jobs: it is about to stop."""


class GatewayLeft(Letter, frozen=True):
    """The last that is heard of a gateway; what it still had is taken from it."""


class JobHandedOver(Letter, frozen=True):
    """A leaving gateway gives a job's stream to whoever the router names; all of it is kept."""

    job_id: str


class AdoptJob(Effect, frozen=True):
    """Become a job's home. `session`: whose attempt runs, None while the job waits."""

    job_id: str
    attempt: int
    session: str | None


class GatewayGone(Effect, frozen=True):
    """A gateway is no more: nothing is to be sent to it."""

    gateway: str


class TellAnew(Effect, frozen=True):
    """The router has lost its memory: it knows nothing of the gateway, its links and its jobs."""


class Between(Struct, frozen=True, tag=True):
    """From one gateway to another."""


class JobToLink(Between, frozen=True):
    """Home to link: send this frame, already written down, which begins an attempt."""

    session: str
    job_id: str
    attempt: int
    frame: str


class CancelToLink(Between, frozen=True):
    """Home to link: tell the instance to stop an attempt."""

    session: str
    job_id: str
    attempt: int
    reason: str


class AckToLink(Between, frozen=True):
    """Home to link: chunks below `seq` are kept for good; `is_end`: and so is the attempt's end."""

    session: str
    job_id: str
    attempt: int
    seq: int
    is_end: bool = False


class HomeMoved(Between, frozen=True):
    """New home to link: from chunk `next_seq` on, all of this attempt comes to the sender."""

    session: str
    job_id: str
    attempt: int
    next_seq: int


class FromLink(Between, frozen=True):
    """Link to home: what the instance said of a job."""

    session: str
    frame: Chunk | Done | Failed


class ResumeAsked(Between, frozen=True):
    """Link to home: may this attempt go on over a new link? `next_seq`: as the hello says."""

    session: str
    job_id: str
    attempt: int
    next_seq: int


class ResumeAnswered(Between, frozen=True):
    """Home to link: from where the instance is to send again; None: it may not go on."""

    session: str
    job_id: str
    attempt: int
    from_seq: int | None


class LinkEnded(Between, frozen=True):
    """Home to link: the instance broke a rule in what it said of a job; close its link."""

    session: str
    reason: str


AnyBetween = (
    JobToLink
    | CancelToLink
    | AckToLink
    | HomeMoved
    | FromLink
    | ResumeAsked
    | ResumeAnswered
    | LinkEnded
)


def gateway_of(session: str) -> str:
    """Return the gateway that a link is at: a session's name begins with its gateway's."""
    return session.partition(".")[0]
