"""Gateways around one core: who hears what, who inherits what, and nothing twice."""

from collections.abc import Iterable

import msgspec
import pytest

from apps.router.core import effects, events, letters
from apps.router.core.cluster import (
    ROUTER,
    Addressed,
    Cluster,
    Told,
    cluster_decode,
    cluster_encode,
)
from apps.router.core.cluster_step import GONE_KEPT_S, cluster_step
from apps.router.core.effects import Effect
from apps.router.core.values import Health, Offer, ServiceClass
from tests.unit.router.core.board import TINY

A, B, C = "aaaaaaaa", "bbbbbbbb", "cccccccc"


class Site:
    """A cluster, and gateways that number their letters."""

    def __init__(self, *gateways: str) -> None:
        self.cluster = Cluster(salt=b"salt")
        self.now_ms = 1_000_000
        self.numbers: dict[str, int] = {}
        for gateway in gateways:
            self.say(gateway, letters.GatewayCame("1"))

    def say(self, gateway: str, *told: Told) -> list[Addressed]:
        """Let a gateway tell something now."""
        number = self.numbers.get(gateway, 0)
        self.numbers[gateway] = number + len(told)
        return cluster_step(self.cluster, gateway, number, told, self.now_ms)

    def tick(self, token: int = 1) -> list[Addressed]:
        """Let the active router tell the time."""
        return cluster_step(
            self.cluster, ROUTER, 0, [events.TimePassed()], self.now_ms, token=token
        )

    def wait(self, seconds: float, *, silent: Iterable[str] = ()) -> list[Addressed]:
        """Let time pass in ticks; all gateways but the silent ones live, and all instances."""
        told: list[Addressed] = []
        for _ in range(int(seconds * 4)):
            self.now_ms += 250
            for gateway in [g for g in self.cluster.gateways if g not in silent]:
                told += self.say(gateway, letters.GatewayAlive(), *self.beats(gateway))
            told += self.tick()
        return told

    def beats(self, gateway: str) -> list[Told]:
        """Make the heartbeats of a gateway's instances."""
        return [
            events.HeartbeatReceived(one.session, tuple(one.open_jobs), one.slots)
            for one in self.cluster.state.instances.values()
            if letters.gateway_of(one.session) == gateway
        ]

    def join(self, gateway: str, name: str, *offers: Offer, slots: int = 4) -> list[Addressed]:
        """Connect an instance at a gateway."""
        session = f"{gateway}.{name}"
        joined = events.InstanceJoined(session, name, name, (TINY,), slots, offers)
        return self.say(gateway, joined)

    def submit(self, gateway: str, job_id: str) -> list[Addressed]:
        """Hand in a job at a gateway."""
        job = events.JobSubmitted(job_id, "user:1", ServiceClass.REGISTERED, conversation="talk")
        return self.say(gateway, job)


def to(gateway: str | None, told: Iterable[Addressed]) -> list[Effect]:
    """Return what one gateway is told."""
    return [one.effect for one in told if one.gateway == gateway]


def kinds(told: Iterable[Effect]) -> list[str]:
    """Return the names of effects."""
    return [type(effect).__name__ for effect in told]


def test_a_jobs_home_is_told_of_it_and_the_link_is_welcomed_where_it_is() -> None:
    site = Site(A, B)
    assert kinds(to(B, site.join(B, "x"))) == ["WelcomeInstance"]
    told = site.submit(A, "j")
    assert kinds(to(A, told)) == ["AssignJob"]
    assert kinds(to(None, told)) == ["RecordDecision"]
    assert not to(B, told)
    told = site.say(A, events.AttemptDone(f"{B}.x", "j", 1, "stop"))
    assert kinds(to(A, told)) == ["FinishJob"]
    assert not site.cluster.homes


def test_what_was_written_twice_is_applied_once_and_a_gap_is_counted() -> None:
    site = Site(A)
    site.join(A, "x")
    job = events.JobSubmitted("j", "user:1", ServiceClass.REGISTERED)
    assert cluster_step(site.cluster, A, 2, [job], site.now_ms)
    assert not cluster_step(site.cluster, A, 1, [job, job], site.now_ms)
    assert list(site.cluster.state.jobs) == ["j"]
    cluster_step(site.cluster, A, 9, [letters.GatewayAlive()], site.now_ms)
    assert site.cluster.gateways[A].missed_count == 6


def test_effects_are_numbered_for_each_gateway_without_a_gap() -> None:
    site = Site(A, B)
    told = site.join(A, "x") + site.join(B, "y") + site.submit(A, "j") + site.submit(A, "k")
    for gateway in (A, B):
        numbers = [one.number for one in told if one.gateway == gateway]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_the_core_knows_nobody_by_name() -> None:
    site = Site(A)
    site.submit(A, "j")
    job = site.cluster.state.jobs["j"]
    assert "user" not in job.requester
    assert job.conversation not in ("", "talk")


def test_a_dead_gateways_jobs_are_adopted_and_its_links_are_broken() -> None:
    site = Site(A, B)
    site.join(A, "x", slots=1)
    site.join(B, "y")
    site.submit(A, "j")
    site.submit(A, "k")
    owners = {job.job_id: job.session for job in site.cluster.state.jobs.values()}
    told = site.wait(4, silent=[A])
    heard = [one for one in to(B, told) if not isinstance(one, effects.ShowPlace)]
    assert kinds(heard)[:3] == ["GatewayGone", "AdoptJob", "AdoptJob"]
    adopted = {one.job_id: one.session for one in heard if isinstance(one, letters.AdoptJob)}
    lost = {job_id for job_id, session in owners.items() if session == f"{A}.x"}
    assert adopted == {j: None if j in lost else owners[j] for j in ("j", "k")}
    requeued = {one.job_id for one in heard if isinstance(one, effects.RequeueJob)}
    assert requeued == lost
    assert set(site.cluster.homes.values()) == {B}
    assert list(site.cluster.state.instances) == [f"{B}.y"]


def test_an_end_that_the_dead_may_not_have_told_is_told_again() -> None:
    site = Site(A, B)
    site.join(B, "y")
    site.submit(A, "j")
    site.say(A, events.AttemptDone(f"{B}.y", "j", 1, "stop"))
    told = to(B, site.wait(4, silent=[A]))
    adopted, finished = [
        one for one in told if isinstance(one, letters.AdoptJob | effects.FinishJob)
    ]
    assert adopted == letters.AdoptJob("j", 0, None)
    assert finished == effects.FinishJob("j", "stop")


def test_a_gateway_that_leaves_in_good_order_hands_each_job_over() -> None:
    site = Site(A, B, C)
    site.join(C, "y")
    site.submit(A, "j")
    site.say(B, letters.GatewayLeaving())
    site.say(A, letters.GatewayLeaving())
    told = site.say(A, letters.JobHandedOver("j"))
    assert to(C, told) == [letters.AdoptJob("j", 1, f"{C}.y")]
    assert not to(B, told)
    told = site.say(A, letters.GatewayLeft())
    assert to(B, told) == to(C, told) == [letters.GatewayGone(A)]
    assert A not in site.cluster.gateways


def test_whoever_was_the_home_before_has_no_say() -> None:
    site = Site(A, B)
    site.join(B, "y")
    site.submit(A, "j")
    site.say(A, letters.JobHandedOver("j"))
    assert not site.say(A, events.AttemptDone(f"{B}.y", "j", 1, "stop"))
    assert kinds(to(B, site.say(B, events.AttemptDone(f"{B}.y", "j", 1, "stop")))) == ["FinishJob"]


def test_with_nobody_left_jobs_wait_for_the_next_gateway() -> None:
    site = Site(A)
    site.submit(A, "j")
    site.wait(4, silent=[A])
    assert site.cluster.orphans == ["j"]
    site.now_ms += 250
    assert to(B, site.say(B, letters.GatewayCame("1"))) == [letters.AdoptJob("j", 0, None)]
    assert site.cluster.homes == {"j": B}


def test_whoever_was_taken_for_dead_hears_of_it_and_its_numbers_go_on() -> None:
    site = Site(A, B)
    site.join(A, "x")
    site.submit(A, "j")
    before = site.cluster.gateways[A].next_effect
    site.wait(4, silent=[A])
    told = site.say(A, *[events.HeartbeatReceived(f"{A}.x", ("j",), 1)])
    assert kinds(to(A, told)) == ["GatewayGone", "CloseLink"]
    assert [one.number for one in told if one.gateway == A] == [before, before + 1]
    assert site.cluster.homes == {"j": B}


def test_whoever_stood_still_until_nobody_remembered_hears_that_it_is_gone() -> None:
    site = Site(A, B)
    site.join(A, "x")
    site.submit(A, "j")
    site.wait(4, silent=[A])
    site.now_ms += int(GONE_KEPT_S * 1000) + 1000
    site.tick()
    assert A not in site.cluster.gone
    told = site.say(A, events.HeartbeatReceived(f"{A}.x", ("j",), 1))
    assert to(A, told)[0] == letters.GatewayGone(A)
    assert site.cluster.homes == {"j": B}


def told_anew(job_id: str, last_attempt: int) -> events.JobSubmitted:
    """Make what a gateway tells of a job that the router before knew."""
    return events.JobSubmitted(
        job_id,
        "user:1",
        ServiceClass.REGISTERED,
        "tiny",
        may_wait_for_instance=False,
        has_text=last_attempt > 0,
        last_attempt=last_attempt,
    )


def test_a_router_without_memory_asks_each_gateway_for_all_it_has() -> None:
    site = Site()
    site.numbers[A] = 57
    old = events.InstanceJoined(f"{A}.x", "x", "x", (TINY,), 4)
    asked = events.JobSubmitted("j", "user:1", ServiceClass.REGISTERED)
    assert to(A, site.say(A, old, asked)) == [letters.TellAnew()]
    assert not site.say(A, events.HeartbeatReceived(f"{A}.x", ("j",), 4))
    assert not site.cluster.homes
    assert not site.cluster.state.instances
    site.say(A, letters.GatewayCame("1", is_anew=True), told_anew("waits", 0), told_anew("j", 2))
    assert site.cluster.homes == {"j": A, "waits": A}
    told = to(A, site.join(A, "x"))
    assigned = [one for one in told if isinstance(one, effects.AssignJob)]
    assert [(one.job_id, one.attempt) for one in assigned] == [("j", 3), ("waits", 1)]


def test_a_young_gateway_that_writes_all_of_it_again_is_asked_as_well() -> None:
    site, came = Site(), letters.GatewayCame("1")
    joined = events.InstanceJoined(f"{A}.x", "x", "x", (TINY,), 4)
    told = cluster_step(site.cluster, A, 0, [came, joined], site.now_ms, token=3)
    assert to(A, told) == [letters.TellAnew()]
    assert not site.cluster.state.instances
    anew = letters.GatewayCame("1", is_anew=True)
    told = cluster_step(site.cluster, A, 2, [anew, joined], site.now_ms, token=4)
    assert kinds(to(A, told)) == ["WelcomeInstance"]


def test_a_gateway_that_leaves_while_it_is_unknown_is_let_go() -> None:
    site = Site(B)
    site.numbers[A] = 57
    site.say(A, letters.GatewayAlive())
    site.say(A, letters.GatewayLeft())
    assert list(site.cluster.gateways) == [B]


def test_after_a_pause_of_the_router_nobody_is_taken_for_dead() -> None:
    site = Site(A, B)
    site.wait(1)
    site.now_ms += 20_000
    assert not to(B, site.tick())
    assert not to(B, site.wait(2, silent=[A]))
    assert kinds(to(B, site.wait(2, silent=[A]))) == ["GatewayGone"]


def test_an_end_that_came_while_no_router_acted_is_told_to_who_inherits_it() -> None:
    site = Site(A, B)
    site.join(B, "x")
    site.submit(A, "j")
    site.wait(1)
    site.say(A, events.AttemptDone(f"{B}.x", "j", 1, "stop"))
    site.now_ms += 30_000
    inherited = to(B, site.wait(5, silent=[A]))
    assert A not in site.cluster.gateways
    assert effects.FinishJob("j", "stop") in inherited


def test_a_deposed_routers_ticks_change_nothing() -> None:
    site = Site(A)
    site.tick(token=5)
    site.now_ms += 60_000
    before = cluster_encode(site.cluster)
    assert not cluster_step(site.cluster, ROUTER, 0, [events.TimePassed()], 0, token=4)
    assert cluster_encode(site.cluster) == before
    site.tick(token=7)
    assert (site.cluster.token, site.cluster.takeovers_count) == (7, 1)


def test_a_resumed_job_names_its_home() -> None:
    site = Site(A, B)
    site.join(B, "y")
    site.submit(A, "j")
    site.say(B, events.LinkBroken(f"{B}.y"))
    joined = events.InstanceJoined(f"{B}.z", "y", "y", (TINY,), 4, (Offer("j", 1),))
    welcome = to(B, site.say(B, joined))[-1]
    assert isinstance(welcome, effects.WelcomeInstance)
    assert welcome.homes == (A,)


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x80", b"\x93\x01\x02\x03"])
def test_what_is_no_cluster_is_refused(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        cluster_decode(data)


def test_a_letter_that_breaks_a_rule_of_the_core_stops_nothing_else() -> None:
    site = Site(A)
    site.join(A, "x")
    site.cluster.state.instances[f"{A}.x"].record.health = Health.GONE  # no way leads on from there
    told = site.say(A, events.InstanceDraining(f"{A}.x"), letters.GatewayAlive())
    assert not told
    assert ["InstanceDraining" in mishap for mishap in site.cluster.mishaps] == [True]
    assert site.submit(A, "j")


def test_instances_of_a_gateway_that_dies_are_not_blamed() -> None:
    site = Site(A, B)
    site.join(A, "x")
    site.submit(A, "j")
    attempt = site.cluster.state.jobs["j"].attempt
    site.say(A, events.JobProgressed("j", attempt, 1))
    site.join(B, "y")
    site.wait(4, silent=[A])
    job = site.cluster.state.jobs["j"]
    assert not job.failures
    assert (job.session, job.attempt, job.excused_count) == (f"{B}.y", 2, 1)


def test_nobody_is_blamed_for_progress_that_a_dying_home_did_not_report() -> None:
    site = Site(A, B)
    site.join(B, "y")
    site.submit(A, "j")
    site.say(A, events.JobProgressed("j", 1, 1))
    site.join(B, "z")  # who could have it instead
    told = site.wait(6, silent=[A])
    assert "AdoptJob" in kinds(to(B, told))
    job = site.cluster.state.jobs["j"]
    assert (job.session, job.attempt, job.failures) == (f"{B}.y", 1, [])


def test_a_link_that_comes_anew_before_its_gateway_is_known_to_be_dead_costs_no_attempt() -> None:
    site = Site(A, B)
    site.join(A, "x")
    site.submit(B, "j")
    for gateway, before in ((B, A), (A, B)) * 3:
        told = site.join(gateway, "x")
        assert effects.CloseLink(f"{before}.x", 4002, "a newer connection replaced this") in to(
            before, told
        )
    job = site.cluster.state.jobs["j"]
    assert (job.session, job.attempt) == (f"{A}.x", 7)
