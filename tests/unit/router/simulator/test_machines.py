"""How long simulated machines take, worked out by hand."""

from math import inf

import pytest

from apps.router.simulator.machines import Engine, Machine, capacity, fleet_of


def machine(*, slots: int = 2, crowding: float = 0.5) -> Machine:
    return Machine(
        name="m",
        slots=slots,
        prefill_tokens_per_s=100,
        decode_tokens_per_s=10,
        crowding=crowding,
    )


def start(engine: Engine, job_id: str, now: float, **more: object) -> None:
    options = {
        "prompt_tokens": 200,
        "answer_tokens": 21,
        "conversation": "",
        "extra_s": 0.0,
        **more,
    }
    engine.start(job_id, 1, now=now, **options)  # type: ignore[arg-type]


def test_lonely_job_reads_then_writes() -> None:
    engine = Engine(machine())
    start(engine, "j", 5.0)
    # 200 tokens at 100 a second, and the first one at 10 a second.
    assert engine.next_at() == pytest.approx(5.0 + 2.0 + 0.1)
    engine.advance(7.1)
    work = engine.works["j"]
    assert engine.tokens_of(work) == 1
    work.has_begun = True
    assert engine.next_at() == pytest.approx(7.1 + 2.0)
    engine.advance(8.1)
    assert engine.tokens_of(work) == 11
    engine.advance(50.0)
    assert engine.tokens_of(work) == 21


def test_jobs_beside_each_other_slow_each_other_down() -> None:
    engine = Engine(machine(crowding=0.5))
    start(engine, "one", 0.0)
    engine.advance(1.0)
    start(engine, "two", 1.0)
    # One has 1.1 s of work left to its first token; at two thirds of the pace that takes 1.65 s.
    assert engine.next_at() == pytest.approx(1.0 + 1.1 * 1.5)
    assert engine.stop("one", 2.65) is not None
    # Two has done 1.1 of its 2.1 s and goes on alone.
    assert engine.next_at() == pytest.approx(2.65 + 1.0)


@pytest.mark.parametrize(("factor", "first_at"), [(1.0, 2.1), (0.5, 4.2), (0.2, 10.5), (0.0, inf)])
def test_slower_machine_takes_so_much_longer(factor: float, first_at: float) -> None:
    engine = Engine(machine(), factor=factor)
    start(engine, "j", 0.0)
    assert engine.next_at() == pytest.approx(first_at)


def test_change_of_speed_counts_from_when_it_happens() -> None:
    engine = Engine(machine())
    start(engine, "j", 0.0)
    engine.advance(1.0)
    engine.factor = 0.5
    assert engine.next_at() == pytest.approx(1.0 + 1.1 * 2)


def test_loading_comes_before_reading() -> None:
    engine = Engine(machine())
    start(engine, "j", 0.0, extra_s=15.0)
    assert engine.next_at() == pytest.approx(17.1)


def test_held_conversation_is_not_read_again() -> None:
    engine = Engine(machine())
    start(engine, "one", 0.0, conversation="c")
    engine.advance(10.0)
    engine.end(engine.works["one"])
    assert engine.held == {"c": 221}
    start(engine, "two", 10.0, conversation="c", prompt_tokens=321)
    assert engine.next_at() == pytest.approx(10.0 + 1.0 + 0.1)
    assert engine.works["two"].cached_tokens == 221


def test_machine_holds_four_conversations_by_slot_the_latest_ones() -> None:
    engine = Engine(machine(slots=2))
    for n in range(10):
        start(engine, f"j{n}", float(n), conversation=f"c{n}")
        engine.end(engine.works[f"j{n}"])
    assert list(engine.held) == [f"c{n}" for n in range(2, 10)]


def test_capacity_is_all_slots_at_the_pace_of_all() -> None:
    # Alone 2 + 2 s; two beside each other take 1.5 times that.
    assert machine().jobs_per_s(200, 20) == pytest.approx(2 / 6)
    assert capacity([machine(), machine(slots=1)], 200, 20) == pytest.approx(2 / 6 + 1 / 4)


def test_mixed_fleet_has_speeds_over_a_twenty_fold_range() -> None:
    fleet = fleet_of(400, kind="mixed", seed=1)
    assert fleet == fleet_of(400, kind="mixed", seed=1)
    assert fleet != fleet_of(400, kind="mixed", seed=2)
    speeds = sorted(m.decode_tokens_per_s for m in fleet)
    assert speeds[0] >= 4
    assert speeds[-1] <= 80
    assert speeds[-1] / speeds[0] > 18
    assert {m.slots for m in fleet} == {1, 2, 4, 8, 16}
    assert {m.rtt_s for m in fleet} == {0.005, 0.060, 0.150}


def test_same_fleet_is_the_same() -> None:
    fleet = fleet_of(3, kind="same", seed=1)
    assert len({(m.slots, m.decode_tokens_per_s, m.prefill_tokens_per_s) for m in fleet}) == 1
    assert len({m.name for m in fleet}) == 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"slots": 0},
        {"prefill_tokens_per_s": 0.0},
        {"decode_tokens_per_s": -1.0},
        {"crowding": -0.1},
        {"region": "moon"},
    ],
)
def test_machine_that_cannot_be_is_refused_by_name(wrong: dict[str, object]) -> None:
    good: dict[str, object] = {
        "name": "m",
        "slots": 1,
        "prefill_tokens_per_s": 1.0,
        "decode_tokens_per_s": 1.0,
        "crowding": 0.0,
    }
    assert Machine(**good)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Machine(**{**good, **wrong})  # type: ignore[arg-type]
