"""The core's constants, each with its unit and its reason. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreSettings:
    """How the router judges and bounds.

    heartbeat_s: how often an instance must speak; three missed are its end, so 1.5 s notices a
        silent one within 5 s.
    max_attempts: one job's tries, so that a request that kills instances kills three at most.
    lost_after_heartbeats: an open job that the instance no longer names in so many heartbeats in
        a row is lost; a cancelled one has then given its slot back without saying so.
    max_queued_per_class: beyond it a new job would wait too long to be worth taking.
    max_wait_s: how long a person's job stays in the queue; max_wait_program_s: a program's.
    no_instance_retry_s: what a program is told when no instance serves its model.
    """

    heartbeat_s: float = 1.5
    silent_heartbeats: int = 3
    max_attempts: int = 3
    lost_after_heartbeats: int = 3
    max_queued_per_class: int = 1000
    max_wait_s: float = 900.0
    max_wait_program_s: float = 60.0
    no_instance_retry_s: int = 10
    queue_full_retry_s: int = 30

    @property
    def silence_s(self) -> float:
        """A link that has been silent for longer is dead."""
        return self.heartbeat_s * self.silent_heartbeats
