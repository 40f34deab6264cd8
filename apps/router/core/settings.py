"""The core's constants, each with its unit and its reason. Pure."""

from dataclasses import dataclass, field

from apps.router.core.values import ServiceClass


def _running_per_user() -> dict[ServiceClass, int]:
    return {ServiceClass.REGISTERED: 1000, ServiceClass.DEMO: 4, ServiceClass.PROBE: 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreSettings:
    """How the router chooses, judges and bounds. `docs/routing.md` shows these very values.

    Choosing
        rule: the selection rule's name.
        seed: makes the rule's draws; the same seed and the same events give the same decisions.
        considered_count: a decision weighs at most so many free instances, evenly drawn from all;
            128 of any number hold one of the best 3 % in 98 of 100 draws, and cost 0.3 ms.
        explained_count: how many candidates a decision lists; a larger fleet's rest is counted.
        affinity_s: how long an instance is thought to hold a conversation's prompt.
        conversations_count: how many conversations are remembered.
        region_rtt_s: round trip to an instance by its region, until its own speed is measured.

    Health
        heartbeat_s: how often an instance must speak; 1.5 s notices a silent one within 5 s.
        silent_heartbeats: so many missed ones are its end; one or two may be a slow network.
        silent_streaming_s: silence of an instance that was streaming: a heartbeat is overdue and
            so is a token.
        lost_after_heartbeats: an open job that the instance no longer names in so many
            heartbeats in a row is lost; a cancelled one has given its slot back without a word.
        first_token_floor_s, first_token_cap_s: bounds of the learned deadline for the first token.
        gap_floor_s, gap_cap_s: bounds of the learned deadline between two reports of progress.
        progress_s: how often the gateway reports progress; part of every gap.
        deviations: how many standard deviations late is too late (6: one in 10^9 if normal).
        learned_samples: so many samples make a deadline a learned one.
        failures_to_eject: consecutive failures; one is enough while on probation after an ejection.
        ejection_s, ejection_max_s: the first ejection, doubled each time, up to the longest.
        ejection_jitter: the share by which an ejection is longer or shorter, so that instances
            that failed together do not come back together.
        ejected_share: at most this share of a model's instances is ejected at a time.
        probation_answers: good answers that make a new instance a healthy one.
        failure_half_life_s: a failure weighs half as much after so long.
        slow_enter, slow_leave: times the model's usual time per token that make an instance slow,
            and below which it is so no longer.
        stall_s: the router's own pause beyond which nobody is blamed for silence.
        forget_gone_s: how long the record of an instance that has left is kept.

    Jobs
        max_attempts: one job's tries, so that a request that kills instances kills three at most.
        max_queued_per_class: beyond it a new job would wait too long to be worth taking.
        max_wait_s: how long a person's job stays in the queue.
        max_wait_program_s: how long a program's does; its own deadline is usually near.
        come_back_s: how long an interrupted job waits for its instance to be back while the others
            that are connected have failed it or can't go on with it; and how long a late attempt
            is borne with that nobody else could have.
        no_instance_retry_s: after how long a program is told to come back when no instance serves
            its model.
        queue_full_retry_s: the same when the queue is full.

    Fairness
        trickle_every: while a lower class waits, at least one in so many assignments is its.
        ageing_s: within a class a user who has waited longer for a turn goes before all who have
            not; 120 s is when most people have given up.
        input_weight, output_weight: what a user is charged for a token read and a token written;
            writing costs an instance more.
        usual_output_tokens: charged in advance until the answer's length is known.
        max_running_per_user: jobs of one user that run at a time, by class.
        registered_patience_s: when a registered job would wait longer, waiting demo jobs beyond
            their trickle make room.
        places_every_s: how often waiting readers are told their place.
    """

    rule: str = "soonest"
    seed: int = 0
    considered_count: int = 128
    explained_count: int = 32
    affinity_s: float = 600.0
    conversations_count: int = 10_000
    region_rtt_s: dict[str, float] = field(default_factory=dict)

    heartbeat_s: float = 1.5
    silent_heartbeats: int = 3
    silent_streaming_s: float = 2.5
    lost_after_heartbeats: int = 3
    first_token_floor_s: float = 3.0
    first_token_cap_s: float = 19.5
    gap_floor_s: float = 2.5
    gap_cap_s: float = 4.5
    progress_s: float = 1.0
    deviations: float = 6.0
    learned_samples: int = 5
    failures_to_eject: int = 3
    ejection_s: float = 5.0
    ejection_max_s: float = 300.0
    ejection_jitter: float = 0.2
    ejected_share: float = 0.5
    probation_answers: int = 3
    failure_half_life_s: float = 30.0
    slow_enter: float = 4.0
    slow_leave: float = 2.5
    stall_s: float = 1.5
    forget_gone_s: float = 3600.0

    max_attempts: int = 3
    max_queued_per_class: int = 1000
    max_wait_s: float = 900.0
    max_wait_program_s: float = 60.0
    come_back_s: float = 5.0
    no_instance_retry_s: int = 10
    queue_full_retry_s: int = 30

    trickle_every: int = 10
    ageing_s: float = 120.0
    input_weight: float = 1.0
    output_weight: float = 2.0
    usual_output_tokens: int = 200
    max_running_per_user: dict[ServiceClass, int] = field(default_factory=_running_per_user)
    registered_patience_s: float = 60.0
    places_every_s: float = 0.5

    @property
    def silence_s(self) -> float:
        """A link that has been silent for longer is dead."""
        return self.heartbeat_s * self.silent_heartbeats
