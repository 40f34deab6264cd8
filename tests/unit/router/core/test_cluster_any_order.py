"""Whatever happens to gateways in whatever order: two routers agree, and every job has one home."""

from random import Random
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.router.core import events, letters
from apps.router.core.cluster import (
    ROUTER,
    Addressed,
    Cluster,
    Told,
    cluster_decode,
    cluster_encode,
)
from apps.router.core.cluster_step import GONE_KEPT_S, cluster_step
from apps.router.core.values import FailureCode, Offer, ServiceClass
from tests.unit.router.core.board import TINY

GATEWAYS = [f"{digit}" * 8 for digit in "abcd"]
Entry = tuple[str, int, list[Told], int, int]


class Story:
    """Draws entries of the stream that fit what has happened, some doubled, some late."""

    def __init__(self, seed: int) -> None:
        self.draws = Random(seed)  # noqa: S311 # draws that come again
        self.cluster = Cluster(salt=b"s")
        self.now_ms, self.token, self.made = 10_000_000, 1, 0
        self.numbers = dict.fromkeys(GATEWAYS, 0)
        self.silent: set[str] = set()
        self.entries: list[Entry] = []
        self.told: list[list[Addressed]] = []

    def go_on(self, count: int) -> None:
        """Draw entries and apply each."""
        for _ in range(count):
            self.made += 1
            self.now_ms += self.draws.choice([0, 1, 20, 240, 700])
            kinds = [self.tick, self.tick, self.live, self.live, self.join, self.ask, self.ask]
            kinds += [self.job_news, self.job_news, self.gateway_news, self.again]
            entry = self.draws.choice(kinds)()
            self.entries.append(entry)
            self.told.append(applied(self.cluster, entry))

    def tick(self) -> Entry:
        """Let the active router, a new one or a deposed one tell the time."""
        chance = self.draws.random()
        self.token += chance < 0.05
        token = self.token - (0.05 < chance < 0.1)
        return ROUTER, token, [events.TimePassed()], self.now_ms, token

    def say(self, gateway: str, *told: Told) -> Entry:
        """Write a gateway's next letters."""
        number = self.numbers[gateway]
        self.numbers[gateway] += len(told)
        return gateway, number, list(told), self.now_ms, 0

    def someone(self) -> str:
        """Draw a gateway that speaks."""
        return self.draws.choice([g for g in GATEWAYS if g not in self.silent] or GATEWAYS)

    def live(self) -> Entry:
        """Let one live, with its instances."""
        gateway = self.someone()
        beats = [
            events.HeartbeatReceived(one.session, tuple(one.open_jobs), one.slots)
            for one in self.cluster.state.instances.values()
            if letters.gateway_of(one.session) == gateway
        ]
        return self.say(gateway, letters.GatewayAlive(), *beats)

    def join(self) -> Entry:
        """Connect an instance, perhaps once more and elsewhere."""
        gateway, name = self.someone(), f"i{self.draws.randrange(6)}"
        offers = tuple(Offer(j.job_id, j.attempt) for j in self.cluster.state.jobs.values())[:2]
        session, slots = f"{gateway}.{self.made}", self.draws.randrange(1, 4)
        joined = events.InstanceJoined(session, name, name, (TINY,), slots, offers)
        return self.say(gateway, joined)

    def ask(self) -> Entry:
        """Hand in a job."""
        who = self.draws.choice(list(ServiceClass))
        return self.say(self.someone(), events.JobSubmitted(f"j{self.made}", "u", who))

    def job_news(self) -> Entry:
        """Let a job go on or end, as its home tells, or as one that is not its home tells."""
        jobs = [job for job in self.cluster.state.jobs.values() if job.session]
        if not jobs:
            return self.live()
        job = self.draws.choice(jobs)
        home = self.cluster.homes[job.job_id]
        if home not in self.numbers or self.draws.random() < 0.1:
            home = self.someone()
        ids = (job.session or "", job.job_id, job.attempt)
        news: list[Told] = [
            events.JobProgressed(job.job_id, job.attempt, 5),
            events.AttemptDone(*ids, "stop", 3, 9),
            events.AttemptFailed(*ids, FailureCode.ENGINE_ERROR, "boom"),
            events.AttemptLost(*ids),
            events.JobCancelled(job.job_id, "left"),
            letters.JobHandedOver(job.job_id),
        ]
        return self.say(home, self.draws.choice(news))

    def gateway_news(self) -> Entry:
        """Let a gateway come, leave, fall silent or wake up."""
        gateway = self.draws.choice(GATEWAYS)
        kind = self.draws.randrange(4)
        if kind == 0:
            self.silent.add(gateway)
            return self.tick()
        self.silent.discard(gateway)
        news: list[Told] = [
            letters.GatewayCame("1"),
            letters.GatewayLeaving(),
            letters.GatewayLeft(),
        ]
        return self.say(gateway, news[kind - 1])

    def again(self) -> Entry:
        """Write an old entry once more."""
        own = [entry for entry in self.entries[-40:] if entry[0] != ROUTER]
        if not own:
            return self.tick()
        source, number, told, _, token = self.draws.choice(own)
        return source, number, told, self.now_ms, token


def applied(cluster: Cluster, entry: Entry) -> list[Addressed]:
    """Apply an entry."""
    source, number, told, at_ms, token = entry
    return cluster_step(cluster, source, number, told, at_ms, token=token)


def plain(cluster: Cluster) -> dict[str, Any]:
    """Return a cluster as plain values; a set has no order that anything could rest on."""
    values: dict[str, Any] = msgspec.to_builtins(cluster)
    values["state"]["known_models"] = sorted(cluster.state.known_models)
    return values


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), written_at=st.integers(0, 299))
def test_from_a_snapshot_at_any_point_the_same_follows(seed: int, written_at: int) -> None:
    story = Story(seed)
    story.go_on(written_at)
    copy = cluster_decode(cluster_encode(story.cluster))
    story.go_on(300 - written_at)
    for entry, told in zip(story.entries[written_at:], story.told[written_at:], strict=True):
        assert applied(copy, entry) == told
    assert plain(copy) == plain(story.cluster)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_every_job_has_one_home_and_one_end_and_no_number_comes_twice(seed: int) -> None:
    story = Story(seed)
    for _ in range(60):
        story.go_on(5)
        cluster = story.cluster
        assert set(cluster.homes) == set(cluster.state.jobs)
        assert set(cluster.homes.values()) <= {*cluster.gateways, ""}
        assert "" not in cluster.homes.values() or not any(
            not place.is_leaving for place in cluster.gateways.values()
        )
        sessions = {letters.gateway_of(session) for session in cluster.state.instances}
        assert sessions <= set(cluster.gateways)
    numbers: dict[str | None, list[int]] = {}
    for one in (one for told in story.told for one in told):
        numbers.setdefault(one.gateway, []).append(one.number)
    for gateway, given_numbers in numbers.items():
        if gateway is not None:
            first = given_numbers[0]
            assert given_numbers == list(range(first, first + len(given_numbers)))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_when_all_is_over_nothing_is_kept(seed: int) -> None:
    story = Story(seed)
    story.go_on(200)
    cluster = story.cluster
    for gateway in list(cluster.gateways):
        applied(cluster, story.say(gateway, letters.GatewayLeft()))
    for seconds in (0, GONE_KEPT_S, GONE_KEPT_S, 400):
        story.now_ms += int(seconds * 1000) + 500
        for _ in range(4):
            story.now_ms += 250
            applied(
                cluster, (ROUTER, story.token, [events.TimePassed()], story.now_ms, story.token)
            )
    assert not cluster.homes
    assert not cluster.gone
    assert not cluster.endings
    assert not cluster.state.instances
