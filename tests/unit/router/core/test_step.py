"""What the router decides, event by event."""

import msgspec

from apps.router.core import effects, events
from apps.router.core.effects import Effect
from apps.router.core.state import KNOWN_MODELS_MOST, RouterState
from apps.router.core.step import step
from apps.router.core.values import (
    FailureCode,
    Offer,
    Refusal,
    RuledOut,
    ServedModel,
    ServiceClass,
)

TINY = ServedModel(name="tiny", context_tokens=1024, max_output_tokens=512, can_continue=True)


class Table:
    """A router's state with short words for what happens to it."""

    def __init__(self) -> None:
        self.state = RouterState()
        self.now = 0.0

    def do(self, event: events.Event) -> list[Effect]:
        """Apply an event; what is only for the record is left out."""
        found = step(self.state, event, self.now)
        return [e for e in found if not isinstance(e, effects.RecordAttemptEnd)]

    def join(
        self,
        session: str,
        *,
        instance: str = "",
        slots: int = 1,
        model: ServedModel = TINY,
        offers: tuple[Offer, ...] = (),
    ) -> list[Effect]:
        """Connect an instance."""
        name = instance or session
        return self.do(events.InstanceJoined(session, name, name, (model,), slots, offers))

    def submit(
        self, job_id: str, *, who: ServiceClass = ServiceClass.DEMO, **options: object
    ) -> list[Effect]:
        """Hand in a job."""
        return self.do(events.JobSubmitted(job_id, "user:1", who, **options))  # type: ignore[arg-type]


def of_kind(found: list[Effect], kind: type[Effect]) -> list[Effect]:
    return [effect for effect in found if isinstance(effect, kind)]


def assigned(found: list[Effect]) -> list[tuple[str, str, int]]:
    return [(e.job_id, e.session, e.attempt) for e in found if isinstance(e, effects.AssignJob)]


def test_job_goes_at_once_to_an_instance_with_a_free_slot() -> None:
    table = Table()
    table.join("a")
    assert assigned(table.submit("j1")) == [("j1", "a", 1)]


def test_never_more_jobs_than_slots() -> None:
    table = Table()
    table.join("a", slots=2)
    given = [job for n in range(5) for job in assigned(table.submit(f"j{n}"))]
    assert [job_id for job_id, _, _ in given] == ["j0", "j1"]


def test_least_loaded_counts_by_slots() -> None:
    table = Table()
    table.join("small", slots=1)
    table.join("large", slots=4)
    jobs = [table.submit(f"j{n}", who=ServiceClass.REGISTERED) for n in range(5)]
    sessions = [assigned(found)[0][1] for found in jobs]
    assert sorted(sessions) == ["large"] * 4 + ["small"]


def test_ties_do_not_all_go_to_the_first() -> None:
    table = Table()
    table.join("a", slots=8)
    table.join("b", slots=8)
    sessions = []
    for n in range(6):
        sessions.append(assigned(table.submit(f"j{n}"))[0][1])
        table.do(events.AttemptDone(sessions[-1], f"j{n}", 1, "stop"))
    assert sessions == ["a", "b"] * 3


def test_registered_are_served_before_visitors() -> None:
    table = Table()
    table.submit("visitor")
    table.submit("user", who=ServiceClass.REGISTERED)
    assert assigned(table.join("a")) == [("user", "a", 1)]


def test_unknown_model_is_refused_and_known_one_waits() -> None:
    table = Table()
    [refused] = table.submit("j1", model_name="nope")
    assert isinstance(refused, effects.RefuseJob)
    assert refused.refusal is Refusal.MODEL_NOT_FOUND
    table.do(events.ModelsKnown(("tiny",)))
    [place] = table.submit("j2", model_name="tiny")
    assert place == effects.ShowPlace("j2", 1, 1, 0)


def test_program_is_refused_where_no_instance_is_connected() -> None:
    table = Table()
    table.do(events.ModelsKnown(("tiny",)))
    [refused] = table.submit("j1", model_name="tiny", may_wait_for_instance=False)
    assert isinstance(refused, effects.RefuseJob)
    assert refused.refusal is Refusal.NO_INSTANCE
    assert refused.retry_after_s


def test_full_queue_refuses() -> None:
    table = Table()
    bound = table.state.settings.max_queued_per_class
    for n in range(bound):
        table.submit(f"j{n}")
    [refused] = table.submit("one more")
    assert isinstance(refused, effects.RefuseJob)
    assert refused.refusal is Refusal.QUEUE_FULL
    assert len(table.state.jobs) == bound


def test_broken_link_requeues_first_and_goes_on_elsewhere() -> None:
    table = Table()
    table.join("a")
    table.submit("j1")
    table.submit("j2")
    found = table.do(events.LinkBroken("a"))
    assert of_kind(found, effects.RequeueJob) == [effects.RequeueJob("j1")]
    assert assigned(table.join("b")) == [("j1", "b", 2)]


def test_resume_is_taken_up_only_by_the_same_instance_and_attempt() -> None:
    table = Table()
    table.join("a1", instance="a")
    table.submit("j1")
    table.do(events.LinkBroken("a1"))
    [other, *_] = of_kind(
        table.join("x1", instance="x", slots=1, model=ServedModel("other", 1, 1)),
        effects.WelcomeInstance,
    )
    assert other == effects.WelcomeInstance("x1", (), ())
    welcome, *_ = of_kind(
        table.join("a2", instance="a", offers=(Offer("j1", 1), Offer("gone", 1))),
        effects.WelcomeInstance,
    )
    assert welcome == effects.WelcomeInstance("a2", (Offer("j1", 1),), ("gone",))
    assert table.state.instances["a2"].open_jobs == {"j1": 1}


def test_offer_of_a_reassigned_job_is_dropped() -> None:
    table = Table()
    table.join("a1", instance="a")
    table.join("b")
    table.submit("j1")
    assert assigned(table.do(events.LinkBroken("a1"))) == [("j1", "b", 2)]
    welcome, *_ = of_kind(
        table.join("a2", instance="a", offers=(Offer("j1", 1),)), effects.WelcomeInstance
    )
    assert welcome == effects.WelcomeInstance("a2", (), ("j1",))


def test_newer_connection_replaces_the_older_and_takes_its_jobs() -> None:
    table = Table()
    table.join("a1", instance="a")
    table.submit("j1")
    found = table.join("a2", instance="a", offers=(Offer("j1", 1),))
    closed, *_ = of_kind(found, effects.CloseLink)
    assert isinstance(closed, effects.CloseLink)
    assert (closed.session, closed.code) == ("a1", 4002)
    assert effects.WelcomeInstance("a2", (Offer("j1", 1),), ()) in found


def test_failed_attempt_goes_to_another_instance_never_back() -> None:
    table = Table()
    table.join("a")
    table.join("b")
    [(_, first, _)] = assigned(table.submit("j1"))
    failed = events.AttemptFailed(first, "j1", 1, FailureCode.ENGINE_ERROR, "boom")
    [(_, second, attempt)] = assigned(table.do(failed))
    assert second != first
    assert attempt == 2


def test_job_that_failed_everywhere_ends_with_the_reason() -> None:
    table = Table()
    table.join("a")
    table.submit("j1")
    found = table.do(events.AttemptFailed("a", "j1", 1, FailureCode.ENGINE_ERROR, "boom"))
    assert found == [effects.RefuseJob("j1", Refusal.INSTANCES_FAILED, "boom")]
    assert not table.state.jobs


def test_context_overflow_ends_the_job() -> None:
    table = Table()
    table.join("a")
    table.join("b")
    [(_, session, _)] = assigned(table.submit("j1"))
    failed = events.AttemptFailed(session, "j1", 1, FailureCode.CONTEXT_OVERFLOW, "too long")
    [refused] = table.do(failed)
    assert refused == effects.RefuseJob("j1", Refusal.CONTEXT_LENGTH_EXCEEDED, "too long")


def test_three_attempts_are_the_last() -> None:
    table = Table()
    table.submit("j1")
    for n in range(1, 4):
        assert assigned(table.join(f"s{n}")) == [("j1", f"s{n}", n)]
        found = table.do(events.LinkBroken(f"s{n}"))
    assert [type(e) for e in found] == [effects.RefuseJob]


def test_cancelled_job_keeps_its_slot_until_the_instance_has_stopped() -> None:
    table = Table()
    table.join("a")
    table.submit("j1")
    found = table.do(events.JobCancelled("j1", "reader left"))
    assert found == [
        effects.FinishJob("j1", "cancelled"),
        effects.CancelAttempt("a", "j1", 1, "reader left"),
    ]
    assert assigned(table.submit("j2")) == []
    assert assigned(table.do(events.AttemptDone("a", "j1", 1, "cancelled"))) == [("j2", "a", 1)]


def test_frames_of_an_older_attempt_change_nothing() -> None:
    table = Table()
    table.join("a")
    table.join("b")
    table.submit("j1")
    table.do(events.LinkBroken("a"))
    assert table.do(events.AttemptDone("a", "j1", 1, "stop")) == []
    assert table.do(events.AttemptDone("b", "j1", 1, "stop")) == []
    assert "j1" in table.state.jobs


def test_answer_with_text_is_given_only_to_one_who_can_continue() -> None:
    table = Table()
    table.join("a")
    table.submit("j1")
    table.do(events.JobProgressed("j1", 1))
    table.do(events.LinkBroken("a"))
    plain = ServedModel(name="tiny", context_tokens=1024, max_output_tokens=512)
    assert assigned(table.join("b", model=plain)) == []
    found = table.join("c")
    assert assigned(found) == [("j1", "c", 2)]
    [record] = [e for e in found if isinstance(e, effects.RecordDecision)]
    reasons = {c.name: c.ruled_out for c in record.decision.candidates}
    assert reasons == {"b": RuledOut.CANNOT_CONTINUE, "c": None}


def test_silent_instance_is_cut_after_three_heartbeats() -> None:
    table = Table()
    table.join("a")
    table.submit("j1")
    table.now = table.state.settings.silence_s
    table.do(events.TimePassed())
    assert "a" in table.state.instances
    table.now += 0.1
    found = table.do(events.TimePassed())
    assert of_kind(found, effects.CloseLink)
    assert of_kind(found, effects.RequeueJob) == [effects.RequeueJob("j1")]


def test_heartbeats_bring_back_a_leaked_slot_and_a_lost_job() -> None:
    table = Table()
    table.join("a", slots=2)
    table.submit("lost")
    table.submit("cancelled")
    table.do(events.JobCancelled("cancelled", "reader left"))
    for _ in range(table.state.settings.lost_after_heartbeats):
        found = table.do(events.HeartbeatReceived("a", (), 2))
    assert assigned(found) == [("lost", "a", 2)]
    assert table.state.instances["a"].open_jobs == {"lost": 2}


def test_draining_instance_gets_nothing_new() -> None:
    table = Table()
    table.join("a")
    table.do(events.InstanceDraining("a"))
    assert assigned(table.submit("j1")) == []


def test_changed_models_count_at_once() -> None:
    table = Table()
    table.join("a", model=ServedModel("old", 1, 1))
    table.do(events.ModelsKnown(("tiny",)))
    table.submit("j1", model_name="tiny")
    assert assigned(table.do(events.InstanceChanged("a", (TINY,), 1))) == [("j1", "a", 1)]


def test_places_are_shown_when_they_change() -> None:
    table = Table()
    table.join("a")
    for n in range(3):
        table.submit(f"j{n}")
    table.do(events.TimePassed())
    assert table.do(events.TimePassed()) == []
    table.do(events.AttemptDone("a", "j0", 1, "stop"))
    table.now += 0.5
    assert table.do(events.TimePassed()) == [effects.ShowPlace("j2", 1, 1, 1)]


def test_job_that_waited_too_long_is_refused() -> None:
    table = Table()
    table.submit("j1")
    table.now = table.state.settings.max_wait_s + 1
    [refused] = table.do(events.TimePassed())
    assert isinstance(refused, effects.RefuseJob)
    assert refused.refusal is Refusal.QUEUE_TIMEOUT


def test_an_instance_that_announces_ever_new_names_fills_nothing_and_shuts_nobody_out() -> None:
    table = Table()
    table.join("a")
    names = iter(range(2 * KNOWN_MODELS_MOST))
    for _ in range(2 * KNOWN_MODELS_MOST // 64):
        models = tuple(msgspec.structs.replace(TINY, name=f"m{next(names)}") for _ in range(64))
        table.do(events.InstanceChanged("a", models, 1))
    assert len(table.state.known_models) == KNOWN_MODELS_MOST
    table.do(events.ModelsKnown(("one-more",)))
    assert len(table.state.known_models) == KNOWN_MODELS_MOST
    table.join("b", model=msgspec.structs.replace(TINY, name="honest"))
    assert assigned(table.submit("j1", model_name="honest")) == [("j1", "b", 1)]
