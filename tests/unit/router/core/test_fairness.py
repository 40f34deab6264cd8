"""Who is served next: between users, between classes, and after how long at the latest."""

from collections import Counter
from itertools import pairwise
from random import Random

import pytest

from apps.router.core.values import Refusal, ServiceClass
from apps.router.simulator.measures import jain
from tests.unit.router.core.board import Board

REGISTERED, DEMO, PROBE = ServiceClass


class Shop(Board):
    """Instances that end their jobs one after another, oldest first."""

    def __init__(self, slots: int = 1, **settings: object) -> None:
        super().__init__(**settings)
        self.join("a", slots=slots)
        self.served: Counter[str] = Counter()
        self.users: dict[str, str] = {}
        self.ended: list[str] = []

    def ask(
        self, user: str, count: int = 1, who: ServiceClass = REGISTERED, **more: object
    ) -> None:
        """Hand in some jobs of one user."""
        for _ in range(count):
            job_id = f"{user}-{len(self.users)}"
            self.users[job_id] = user
            self.submit(job_id, user=user, who=who, **more)

    def end_one(self, tokens: int = 10, took_s: float = 1.0) -> str:
        """Let the job that runs longest end; return its user."""
        self.now += took_s
        self.beat()
        job_id = next(iter(self.state.instances["a"].open_jobs))
        user = self.users[job_id]
        self.served[user] += tokens
        self.ended.append(user)
        self.done(job_id, tokens=tokens)
        return user

    def end(self, count: int, tokens: int = 10) -> list[str]:
        """Let some jobs end; return their users in order."""
        return [self.end_one(tokens) for _ in range(count)]


# -- between users -----------------------------------------------------------------------------


@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize("served_before", [0, 1, 30, 150])
def test_second_user_waits_for_one_running_job_not_for_the_hundred(
    slots: int, served_before: int
) -> None:
    shop = Shop(slots)
    shop.ask("greedy", 100 + served_before)
    shop.end(served_before)
    shop.ask("second")
    shop.end_one()
    assert shop.owner(f"second-{len(shop.users) - 1}") == "a"


@pytest.mark.parametrize("tokens", [3, 200, 900])
@pytest.mark.parametrize("slots", [1, 4])
def test_four_users_with_ten_to_one_appetites_are_served_alike_while_all_wait(
    tokens: int, slots: int
) -> None:
    shop = Shop(slots)
    draws = Random(1)  # noqa: S311 # draws that come again
    for n in range(400):
        for user, appetite in (("a", 10), ("b", 3), ("c", 2), ("d", 1)):
            if draws.random() < appetite / 10 or n < 12:
                shop.ask(user)
    shop.served.clear()
    while all(len(shop.state.queue.classes[REGISTERED].waiting.get(u, ())) for u in "abcd"):
        shop.end_one(tokens=1 + int(draws.expovariate(1 / tokens)))
    assert len(shop.ended) > 100
    assert jain([shop.served[user] for user in "abcd"]) >= 0.95


def test_user_is_charged_what_was_served_and_gets_the_rest_back() -> None:
    shop = Shop()
    settings = shop.state.settings
    counters = shop.state.queue.classes[REGISTERED].counters
    shop.ask("u", prompt_tokens=100)
    assert counters["u"] == 100 + 2 * settings.usual_output_tokens
    shop.end_one(tokens=7)
    assert counters["u"] == 100 + 2 * 7
    shop.ask("u", prompt_tokens=50)
    shop.progress("u-1", 30)
    shop.cancel("u-1")
    assert counters["u"] == 114 + 50 + 2 * 30


def test_user_is_charged_what_came_after_the_last_progress_too() -> None:
    shop = Shop(1)
    shop.join("b")
    counters = shop.state.queue.classes[REGISTERED].counters
    shop.ask("u", prompt_tokens=50)
    shop.progress("u-0", 30)
    shop.count("u-0", 45)
    shop.fail("u-0")
    shop.progress("u-0", 10)
    shop.count("u-0", 12)
    shop.cancel("u-0")
    assert counters["u"] == 50 + 2 * (45 + 12)


def test_count_at_the_end_teaches_no_speed() -> None:
    shop = Shop()
    shop.ask("u")
    shop.progress("u-0", 1)
    shop.now += 1
    shop.progress("u-0", 11)
    decode = shop.state.models["tiny"].speed.decode.mean
    shop.now += 30
    shop.count("u-0", 12)
    shop.cancel("u-0")
    assert shop.state.models["tiny"].speed.decode.mean == decode


def test_job_that_never_ran_costs_nothing() -> None:
    shop = Shop()
    shop.ask("other")
    shop.ask("u", prompt_tokens=100)
    shop.cancel("u-1")
    assert shop.state.queue.classes[REGISTERED].counters["u"] == 0


def test_long_answers_count_more_than_short_ones() -> None:
    shop = Shop()
    shop.ask("long", 100)
    shop.ask("short", 100)
    for _ in range(60):
        job_id = next(iter(shop.state.instances["a"].open_jobs))
        shop.end_one(tokens=500 if shop.users[job_id] == "long" else 50)
    counts = Counter(shop.ended[4:])
    assert 8 <= counts["short"] / counts["long"] <= 12


def test_idle_time_is_not_banked() -> None:
    shop = Shop()
    for _ in range(20):  # served, while the other one sleeps
        shop.ask("busy")
        shop.end_one(tokens=500)
    shop.ask("busy", 10)
    shop.ask("sleeper", 10)
    found = shop.end(12, tokens=500)
    assert 4 <= Counter(found[1:])["sleeper"] <= 6


def test_within_one_user_first_come_first_served() -> None:
    shop = Shop()
    shop.ask("u", 6)
    shop.end(6)
    assert shop.order() == [f"u-{n}" for n in range(6)]


def test_no_user_has_more_jobs_running_than_the_cap() -> None:
    shop = Shop(slots=12, max_running_per_user={REGISTERED: 5, DEMO: 4, PROBE: 4})
    shop.ask("u", 10)
    shop.ask("visitor", 10, who=DEMO)
    running = Counter(job.requester for job in shop.state.jobs.values() if job.session)
    assert running == {"u": 5, "visitor": 4}
    shop.end_one()
    running = Counter(job.requester for job in shop.state.jobs.values() if job.session)
    assert running == {"u": 5, "visitor": 4}
    assert shop.state.queue.classes[REGISTERED].running == {"u": 5}


# -- between classes ---------------------------------------------------------------------------


def test_registered_go_first_and_one_in_ten_is_a_visitors() -> None:
    shop = Shop()
    for n in range(100):
        shop.ask(f"visitor:{n}", who=DEMO)
    shop.ask("u", 100)
    shop.end_one()
    found = ["demo" if user.startswith("visitor") else "registered" for user in shop.end(60)]
    places = [place for place, who in enumerate(found) if who == "demo"]
    assert len(places) == 6
    assert {later - earlier for earlier, later in pairwise(places)} == {10}


def test_flood_of_visitors_costs_a_registered_user_one_running_job() -> None:
    shop = Shop()
    for n in range(500):
        shop.ask(f"visitor:{n}", who=DEMO)
    shop.end(20)
    for n in range(20):
        shop.ask(f"u{n}")
        shop.end_one()
        assert shop.owner(f"u{n}-{len(shop.users) - 1}") == "a"
        shop.end_one()
        assert shop.ended[-1] == f"u{n}"


def test_every_class_gets_its_trickle() -> None:
    shop = Shop()
    shop.ask("u", 300)
    for n in range(100):
        shop.ask(f"visitor:{n}", who=DEMO)
        shop.ask("probe", who=PROBE)
    classes = Counter(user.partition(":")[0] for user in shop.end(200))
    assert classes["visitor"] >= 18
    assert classes["probe"] >= 18
    assert classes["u"] >= 150


def test_waiting_visitors_make_room_when_registered_users_would_wait_too_long() -> None:
    shop = Shop()
    shop.ask("first", 3)
    shop.end(3)  # a job takes a second
    for n in range(50):
        shop.ask(f"visitor:{n}", who=DEMO)
    for n in range(70):
        shop.ask(f"u{n}")
    shop.tick()
    refused = [job_id for job_id in shop.users if shop.refusal(job_id)]
    # One job a second for 60 s of patience, a tenth of it: six and one more stay, the oldest.
    waiting = [j.requester for j in shop.state.jobs.values() if j.service_class is DEMO]
    assert waiting == [f"visitor:{n}" for n in range(8)]
    assert len(refused) == 42
    refusal = shop.refusal(refused[0])
    assert refusal is not None
    assert refusal.refusal is Refusal.QUEUE_FULL
    assert refusal.retry_after_s == shop.state.settings.queue_full_retry_s


def test_visitors_stay_where_registered_users_need_not_wait_long() -> None:
    shop = Shop()
    shop.ask("first", 3)
    shop.end(3)
    for n in range(50):
        shop.ask(f"visitor:{n}", who=DEMO)
    shop.ask("u", 55)
    shop.tick()
    assert not [job_id for job_id in shop.users if shop.refusal(job_id)]


# -- after how long at the latest --------------------------------------------------------------


@pytest.mark.parametrize(("ageing_s", "served_after"), [(120.0, 121), (30.0, 31)])
def test_endless_newcomers_starve_nobody(ageing_s: float, served_after: int) -> None:
    shop = Shop(ageing_s=ageing_s)
    shop.ask("heavy")
    for n in range(3):
        shop.ask(f"new:{n}")
    shop.end_one(tokens=100_000)
    shop.ask("heavy")
    # There are always two who were served less.
    for n in range(3, 200):
        shop.ask(f"new:{n}")
        shop.end_one()
    assert shop.ended[1:].index("heavy") == served_after


@pytest.mark.parametrize(("users", "slots"), [(30, 1), (30, 3), (60, 2)])
def test_whose_turn_is_overdue_is_behind_one_job_at_most_of_each_other_user(
    users: int, slots: int
) -> None:
    shop = Shop(slots, ageing_s=20.0)
    draws = Random(users)  # noqa: S311 # draws that come again
    turn_began: dict[str, float] = {}
    begun: list[tuple[float, str]] = []
    overdue = 0
    for _ in range(400):
        user = f"u{draws.randrange(users)}"
        if user not in shop.state.queue.classes[REGISTERED].waiting:
            turn_began[user] = shop.now
        shop.ask(user, draws.randrange(1, 4))
        before = len(shop.decisions())
        shop.end_one(tokens=1 + int(draws.expovariate(1 / 200)))
        for decision in shop.decisions()[before:]:
            user = shop.users[decision.job_id]
            since = max(turn_began.get(user, 0.0), decision.at - decision.waited_s) + 20.0
            if decision.at > since:
                overdue += 1
                others = Counter(who for at, who in begun if since < at < decision.at)
                assert set(others.values()) <= {1}
            turn_began[user] = decision.at
            begun.append((decision.at, user))
    assert overdue > 20


def test_one_visitor_waits_for_nine_registered_jobs() -> None:
    shop = Shop()
    shop.ask("u", 300)
    shop.ask("visitor", who=DEMO)
    found = shop.end(12)
    assert found.index("visitor") == 10


def test_interrupted_jobs_go_first_oldest_first() -> None:
    shop = Shop(slots=3)
    shop.ask("x", 3, who=DEMO)
    shop.ask("u", 20)
    shop.leave("a")
    shop.join("b", slots=4)
    order = shop.order()
    assert order[3:6] == ["x-0", "x-1", "x-2"]
    assert order[6] == "u-3"
