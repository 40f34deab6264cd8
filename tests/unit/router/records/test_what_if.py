"""What would have been: nothing without a change; a job's answer moves with the job."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from msgspec import Raw

from apps.router.core import effects, events
from apps.router.core.errors import UnknownRuleError
from apps.router.core.settings import CoreSettings
from apps.router.core.state import RouterState, state_decode, state_encode
from apps.router.core.values import FailureCode, ServedModel, ServiceClass
from apps.router.live.service import RouterService
from apps.router.records.comparison import Comparison, quantile
from apps.router.records.errors import UnknownSettingError
from apps.router.records.history import History
from apps.router.records.segments import Line, Segment, effect_lines, first_state
from apps.router.records.stretches import Stretch, changed_settings, stretches_of, would_be
from apps.router.records.what_if import WhatIf
from tests.unit.router.records.test_replay import record, segments

FAST, SLOW = 0.01, 0.04


class Small:
    """A record of one fast and one slow instance with a slot each, made by hand."""

    def __init__(self, settings: CoreSettings | None = None) -> None:
        self.now = 0.0
        state = RouterState(settings=settings or CoreSettings())
        self.snapshot = state_encode(state)
        self.service = RouterService(clock=lambda: self.now, state=state)
        self.lines: list[Line] = []
        self.attempts: dict[str, effects.AssignJob] = {}
        for name in ("fast", "slow"):
            served = (ServedModel("m", 4096, 1024, can_continue=True),)
            self.at(0.0, events.InstanceJoined(name, name, name.title(), served, 1))

    def at(self, when: float, event: events.Event) -> None:
        """Let something happen; the instances speak all the time."""
        while self.now < when:
            self.now = min(when, self.now + 1.0)
            for name in list(self.service.state.instances):
                running = tuple(self.service.state.instances[name].open_jobs)
                self._happen(events.HeartbeatReceived(name, running, 1))
            self._happen(events.TimePassed())
        self._happen(event)

    def ask(self, when: float, job_id: str, **more: str) -> str:
        """Submit a job; return the session that it is given to."""
        self.at(when, events.JobSubmitted(job_id, "user:1", ServiceClass.REGISTERED, "m"))
        return self.attempts[job_id].session if job_id in self.attempts else ""

    def answer(self, job_id: str, tokens: int) -> None:
        """Let the job's instance answer at its speed."""
        given = self.attempts[job_id]
        token_s = FAST if given.session == "fast" else SLOW
        begun = self.now
        self.at(begun + 10 * token_s, events.JobProgressed(job_id, given.attempt, 1))
        for step in range(int(tokens * token_s)):
            told = events.JobProgressed(job_id, given.attempt, int((step + 1) / token_s))
            self.at(begun + 10 * token_s + step + 1, told)
        done = events.AttemptDone(given.session, job_id, given.attempt, "stop", 0, tokens)
        self.at(begun + (10 + tokens) * token_s, done)

    def _happen(self, event: events.Event) -> None:
        made = self.service.handle(event)
        self.lines.append(Line(at=self.now, event=event))  # type: ignore[arg-type]
        self.lines += effect_lines(made)
        self.attempts |= {e.job_id: e for e in made if isinstance(e, effects.AssignJob)}

    def would_be(self, **changes: str) -> History:
        """Return what happens under other settings."""
        was = History(state_decode(self.snapshot))
        was.add(self.lines)
        state = state_decode(self.snapshot)
        state.settings = changed_settings(state.settings, changes)
        other = History(state)
        other.add(WhatIf(state, was, self.lines).run(lambda count: None))
        return other


def told(_: int) -> None:
    """Hear of progress."""


def compared(folder: Path, **changes: str) -> Comparison:
    return would_be(stretches_of(segments(folder)), changes, told)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_changed_changes_nothing(tmp_path: Path, seed: int) -> None:
    record(tmp_path, 600, seed)
    same = compared(tmp_path, rule="soonest")
    assert same.elsewhere == 0
    assert same.recorded == same.would_be
    assert same.common == same.recorded.given > 300


def test_part_of_a_record_without_a_change_is_the_same_too(tmp_path: Path) -> None:
    record(tmp_path, 300)
    [whole] = stretches_of(segments(tmp_path))
    state = first_state(whole.first)
    service = RouterService(clock=lambda: 0.0, state=state)
    middle = next(n for n, line in enumerate(whole.lines) if line.at and line.at > 1150)
    for line in whole.lines[:middle]:
        if line.event is not None and line.at is not None:
            service.clock = lambda at=line.at: at  # type: ignore[misc]
            service.handle(line.event)
    assert any(job.running for job in state.jobs.values())
    header = msgspec.structs.replace(whole.first.header, snapshot=Raw(state_encode(state)))
    rest = Stretch(Segment("rest", header, []), whole.settings, whole.lines[middle:])
    same = would_be([rest], {"rule": "soonest"}, told)
    assert same.elsewhere == 0
    assert same.recorded == same.would_be


def test_other_rule_sends_jobs_elsewhere_and_all_are_still_answered(tmp_path: Path) -> None:
    record(tmp_path, 900)
    other = compared(tmp_path, rule="random")
    assert other.elsewhere > other.common / 4
    assert abs(other.would_be.given - other.recorded.given) <= 5
    assert other.would_be.answered > 0.9 * other.recorded.answered
    spread = other.would_be.by_instance.values()
    assert max(spread) - min(spread) < max(other.recorded.by_instance.values())


def test_answer_takes_the_time_of_the_machine_that_gives_it() -> None:
    small = Small(CoreSettings(rule="least-loaded"))
    for number in range(6):
        small.ask(small.now + 1, f"warm-{number}")
        small.answer(f"warm-{number}", 50)
    where = {f"warm-{n}": small.attempts[f"warm-{n}"].session for n in range(6)}
    assert set(where.values()) == {"fast", "slow"}
    other = small.would_be(rule="soonest")
    moved = [job for job in where if other.jobs[job].attempts[1].session != where[job]]
    assert moved
    for job_id in moved:
        tried = other.jobs[job_id].attempts[1]
        assert tried.tokens == 50
        assert tried.token_s == pytest.approx(FAST if tried.session == "fast" else SLOW, rel=0.01)
        assert tried.first_s == pytest.approx(0.1 if tried.session == "fast" else 0.4, rel=0.01)


def test_failure_is_the_instances_and_refusal_the_jobs() -> None:
    small = Small(CoreSettings(rule="round-robin"))
    assert small.ask(1.0, "bad") == "fast"
    refused = events.AttemptFailed("fast", "bad", 1, FailureCode.BAD_REQUEST, "no")
    small.at(1.1, refused)
    assert small.ask(2.0, "unlucky") == "slow"
    failed = events.AttemptFailed("slow", "unlucky", 1, FailureCode.ENGINE_ERROR, "no")
    small.at(2.1, failed)
    small.answer("unlucky", 20)
    other = small.would_be(rule="least-loaded", seed="5")
    assert [str(t.outcome) for t in other.jobs["bad"].attempts.values()] == ["refused"]
    outcomes = {t.session: str(t.outcome) for t in other.jobs["unlucky"].attempts.values()}
    assert outcomes in ({"fast": "done"}, {"slow": "failed", "fast": "done"})


def test_longer_wait_is_seen(tmp_path: Path) -> None:
    small = Small(CoreSettings(rule="least-loaded"))
    for number in range(6):
        small.ask(1.0 + number / 100, f"j{number}")
    for _ in range(3):
        for job_id in [j for j, a in small.attempts.items() if j in small.service.state.jobs]:
            small.answer(job_id, 100)
    was = History(state_decode(small.snapshot))
    was.add(small.lines)
    waits = [job.waited_s for job in was.jobs.values() if job.waited_s is not None]
    assert quantile(waits, 0.95) > 1.0


def test_settings_are_read_by_their_kind_and_nonsense_is_named() -> None:
    settings = CoreSettings()
    changed = changed_settings(
        settings,
        {"ageing_s": "30", "seed": "7", "rule": "random/1", "region_rtt_s": '{"eu": 0.1}'},
    )
    expected = replace(settings, ageing_s=30.0, seed=7, rule="random", region_rtt_s={"eu": 0.1})
    assert changed == expected
    with pytest.raises(UnknownSettingError, match="no such setting"):
        changed_settings(settings, {"agein_s": "30"})
    with pytest.raises(UnknownSettingError, match="no value for it"):
        changed_settings(settings, {"ageing_s": "long"})
    with pytest.raises(UnknownRuleError, match="least-loaded"):
        changed_settings(settings, {"rule": "best"})


def test_files_of_one_run_are_joined_whatever_their_order(tmp_path: Path) -> None:
    record(tmp_path / "a", 60)
    record(tmp_path / "b", 60, seed=2)
    one, other = segments(tmp_path / "a") + segments(tmp_path / "b")
    assert len(stretches_of([other, one])) == 2
    middle = len(one.lines) // 2
    header = msgspec.structs.replace(one.header, number=1)
    second = Segment("second", header, one.lines[middle:])
    first = Segment("first", one.header, one.lines[:middle])
    [joined] = stretches_of([second, first])
    assert joined.lines == one.lines
