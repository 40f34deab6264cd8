"""What the router wants done, one frozen struct each; the gateway does it. Pure."""

from msgspec import Struct

from apps.router.core.values import AttemptEnded, Decision, Offer, Refusal


class Effect(Struct, frozen=True, tag=True):
    """Something to do."""


class WelcomeInstance(Effect, frozen=True):
    """Answer a hello; the offers in `resumed` are taken up, those in `dropped` are not.

    homes: the gateways that hold the resumed jobs' streams, in their order; none given: this one.
    """

    session: str
    resumed: tuple[Offer, ...]
    dropped: tuple[str, ...]
    homes: tuple[str, ...] = ()


class AssignJob(Effect, frozen=True):
    """Give a job to an instance; its slot is counted.

    instance_name, fingerprint: what is known of the instance and of its model.
    """

    job_id: str
    attempt: int
    session: str
    model_name: str
    revision: str = ""
    instance_name: str = ""
    fingerprint: str | None = None


class CancelAttempt(Effect, frozen=True):
    """Tell an instance to stop."""

    session: str
    job_id: str
    attempt: int
    reason: str


class RequeueJob(Effect, frozen=True):
    """Take a job from its link: what that still sends is ignored."""

    job_id: str


class ShowPlace(Effect, frozen=True):
    """Tell a waiting job's readers their place, the first being 1.

    `expected_wait_s` follows from the measured service rate; None before there is one.
    """

    job_id: str
    place: int
    waiting: int
    instances_online: int
    expected_wait_s: float | None = None


class FinishJob(Effect, frozen=True):
    """End a job's stream: whole ("stop", "length") or "cancelled"."""

    job_id: str
    finish_reason: str


class RefuseJob(Effect, frozen=True):
    """End a job's stream with a reason."""

    job_id: str
    refusal: Refusal
    detail: str
    retry_after_s: int | None = None


class CloseLink(Effect, frozen=True):
    """Close a link with a websocket code."""

    session: str
    code: int
    reason: str


class RecordDecision(Effect, frozen=True):
    """Keep why an instance got a job."""

    decision: Decision


class RecordAttemptEnd(Effect, frozen=True):
    """Keep why an attempt ended."""

    ended: AttemptEnded
