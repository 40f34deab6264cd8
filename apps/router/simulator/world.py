"""The simulated world around the real core: machines, links, readers and faults in virtual time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from math import inf
from time import perf_counter
from typing import ClassVar

from apps.router.core import effects, events
from apps.router.core.settings import CoreSettings
from apps.router.core.state import RouterState, state_decode, state_encode
from apps.router.core.step import step
from apps.router.core.values import FailureCode, Health, Offer, ServedModel
from apps.router.simulator.faults import Fault
from apps.router.simulator.machines import CONTEXT_TOKENS, Engine, Machine, Work
from apps.router.simulator.outcome import JobRun, Outcome
from apps.router.simulator.traffic import Request, in_order

MODEL = "simulated"
TICK_S = 0.25
REJOIN_S = 1.0
_SERVED = (ServedModel(MODEL, CONTEXT_TOKENS + 1, CONTEXT_TOKENS, can_continue=True),)
_FAILS_AFTER_S = 0.005


@dataclass(slots=True)
class Node:
    """A machine with its link; `session` None while it is away."""

    engine: Engine
    number: int
    generation: int = 0
    links: int = 0
    session: str | None = None
    is_failing: bool = False
    cold_s: float = 0.0
    quiet_until: float = 0.0
    faulty_since: float | None = None
    mended_at: float | None = None
    is_reporting: bool = False

    @property
    def instance_id(self) -> str:
        """Its stable name; another machine in the same place has another."""
        return f"{self.engine.machine.name}.{self.generation}"


class World:
    """Drives the core with what machines, links and readers would do."""

    def __init__(
        self,
        machines: Sequence[Machine],
        requests: Sequence[Request],
        faults: Sequence[Fault],
        settings: CoreSettings,
    ) -> None:
        self.state = RouterState(settings=settings)
        self.now = 0.0
        self.outcome = Outcome()
        self._nodes = [Node(Engine(machine), number) for number, machine in enumerate(machines)]
        self._by_session: dict[str, Node] = {}
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = count()
        self._away_until = 0.0
        self._open = len(requests)
        for number, request in in_order(requests):
            self.outcome.jobs.append(JobRun(request, request.at))
            self._at(request.at, lambda n=number: self._submit(n))  # type: ignore[misc]
        for fault in faults:
            self._at(fault.at, lambda fault=fault: self._fault(fault))  # type: ignore[misc]

    def run(self) -> Outcome:
        """Run until every request has ended."""
        for node in self._nodes:
            # Machines do not beat in step.
            offset = 1.5 * (node.number % 97) / 97
            self._join(node)
            self._at(offset, lambda node=node: self._heartbeat(node))  # type: ignore[misc]
        self._at(0.0, self._tick)
        while self._open and self._agenda:
            self.now, _, act = heappop(self._agenda)
            act()
        self.outcome.lasted_s = self.now
        return self.outcome

    # -- the router --------------------------------------------------------------------------

    def _tell(self, event: events.Event) -> None:
        """Give the core an event; while the router is away it waits."""
        if self.now < self._away_until:
            self._at(self._away_until, lambda: self._tell(event))
            return
        began = perf_counter()
        found = step(self.state, event, self.now)
        took_s = perf_counter() - began
        for effect in found:
            if isinstance(effect, effects.AssignJob):
                self.outcome.decision_s.append(took_s)
            perform = self._PERFORM.get(type(effect))
            if perform is not None:
                perform(self, effect)

    def _tick(self) -> None:
        self._tell(events.TimePassed())
        for node in self._nodes:
            if node.faulty_since is not None or node.mended_at is not None:
                self._watch_ejection(node)
        self._at(self.now + TICK_S, self._tick)

    def _restart(self, away_s: float) -> None:
        snapshot = state_encode(self.state)
        self._away_until = self.now + away_s

        def come_back() -> None:
            self.state = state_decode(snapshot)
            gone = {*self.state.instances, *self._by_session}
            for node in self._nodes:
                if node.session is not None:
                    gone.discard(node.session)
                    self._by_session.pop(node.session, None)
                    self._join(node)
            for session in gone:
                self._tell(events.LinkBroken(session))

        self._at(self._away_until, come_back)

    # -- effects -----------------------------------------------------------------------------

    def _assigned(self, effect: effects.AssignJob) -> None:
        self.outcome.decisions += 1
        node, run = self._by_session[effect.session], self.outcome.jobs[int(effect.job_id)]
        run.attempts += 1
        engine, cold_s = node.engine, node.cold_s
        if node.is_failing:
            code = FailureCode.ENGINE_ERROR
            failed = events.AttemptFailed(
                effect.session, effect.job_id, effect.attempt, code, "broken"
            )
            delay_s = _FAILS_AFTER_S + engine.machine.rtt_s
            self._at(self.now + delay_s, lambda: self._tell(failed))
            return
        node.cold_s = 0.0
        engine.start(
            effect.job_id,
            effect.attempt,
            prompt_tokens=run.request.prompt_tokens + run.given_tokens,
            answer_tokens=max(1, run.request.answer_tokens - run.given_tokens),
            conversation=run.request.conversation,
            extra_s=cold_s,
            now=self.now,
        )
        self._plan(node)
        if not node.is_reporting:
            node.is_reporting = True
            self._at(self.now + 1.0, lambda: self._report(node))

    def _cancelled(self, effect: effects.CancelAttempt) -> None:
        node = self._by_session.get(effect.session)
        if node is None or node.engine.factor == 0:
            return
        work = node.engine.stop(effect.job_id, self.now)
        self._plan(node)
        if work is not None:
            done = events.AttemptDone(effect.session, effect.job_id, effect.attempt, "cancelled")
            self._at(self.now + node.engine.machine.rtt_s, lambda: self._tell(done))

    def _finished(self, effect: effects.FinishJob) -> None:
        self._end(effect.job_id, has_answer=effect.finish_reason != "cancelled")

    def _refused(self, effect: effects.RefuseJob) -> None:
        self.outcome.jobs[int(effect.job_id)].refusal = effect.refusal.value
        self._end(effect.job_id, has_answer=False)

    def _closed(self, effect: effects.CloseLink) -> None:
        node = self._by_session.pop(effect.session, None)
        if node is not None and node.session == effect.session:
            node.session = None
            self._at(self.now + REJOIN_S, lambda: self._join_if_gone(node))

    def _welcomed(self, effect: effects.WelcomeInstance) -> None:
        node = self._by_session[effect.session]
        for job_id in effect.dropped:
            node.engine.stop(job_id, self.now)
        self._plan(node)

    _PERFORM: ClassVar[dict[type[effects.Effect], Callable[..., None]]] = {
        effects.AssignJob: _assigned,
        effects.CancelAttempt: _cancelled,
        effects.FinishJob: _finished,
        effects.RefuseJob: _refused,
        effects.CloseLink: _closed,
        effects.WelcomeInstance: _welcomed,
    }

    # -- machines ----------------------------------------------------------------------------

    def _join(self, node: Node) -> None:
        if self.now < self._away_until:
            self._at(self._away_until, lambda: self._join_if_gone(node))
            return
        node.links += 1
        session = node.session = f"{node.instance_id}/{node.links}"
        self._by_session[session] = node
        machine = node.engine.machine
        offers = tuple(Offer(w.job_id, w.attempt) for w in node.engine.works.values())
        name = machine.name
        self._tell(
            events.InstanceJoined(
                session, node.instance_id, name, _SERVED, machine.slots, offers, machine.region
            )
        )

    def _join_if_gone(self, node: Node) -> None:
        if node.session is None:
            self._join(node)

    def _leave(self, node: Node) -> None:
        session, node.session = node.session, None
        node.engine.advance(self.now)
        for work in node.engine.works.values():
            self._count(work, node)
        node.engine.works.clear()
        node.engine.held.clear()
        if session is not None:
            self._by_session.pop(session, None)
            self._tell(events.LinkBroken(session))

    def _heartbeat(self, node: Node) -> None:
        self._at(self.now + self.state.settings.heartbeat_s, lambda: self._heartbeat(node))
        if node.session is not None and self.now >= node.quiet_until:
            running = tuple(node.engine.works)
            slots = node.engine.machine.slots
            self._tell(events.HeartbeatReceived(node.session, running, slots))

    def _report(self, node: Node) -> None:
        """Once a second a machine that writes tells how far it is."""
        if not node.engine.works:
            node.is_reporting = False
            return
        self._at(self.now + 1.0, lambda: self._report(node))
        if node.engine.pace() > 0 and node.session is not None:
            node.engine.advance(self.now)
            for work in list(node.engine.works.values()):
                if work.has_begun:
                    self._progressed(node, work)

    def _plan(self, node: Node) -> None:
        """Wake up when the machine's next first token or end comes."""
        node.engine.version += 1
        version, at = node.engine.version, node.engine.next_at()
        if at < inf:
            self._at(max(at, self.now), lambda: self._milestone(node, version))

    def _milestone(self, node: Node, version: int) -> None:
        engine = node.engine
        if version != engine.version:
            return
        engine.advance(self.now)
        for work in list(engine.works.values()):
            if not work.has_begun and engine.clock >= work.first_at - 1e-9:
                work.has_begun = True
                self._later(node, lambda work=work: self._progressed(node, work))  # type: ignore[misc]
            if work.has_begun and engine.clock >= work.done_at - 1e-9:
                engine.end(work)
                self._later(node, lambda work=work: self._done(node, work))  # type: ignore[misc]
        self._plan(node)

    def _later(self, node: Node, act: Callable[[], None]) -> None:
        self._at(self.now + node.engine.machine.rtt_s, act)

    def _progressed(self, node: Node, work: Work) -> None:
        run = self._count(work, node)
        if run.first_at is None and run.ended_at is None:
            run.first_at = self.now
        tokens = node.engine.tokens_of(work)
        self._tell(events.JobProgressed(work.job_id, work.attempt, tokens))

    def _done(self, node: Node, work: Work) -> None:
        run = self._count(work, node)
        run.first_at = self.now if run.first_at is None else run.first_at
        run.cached_tokens += work.cached_tokens
        if node.session is None:
            return
        self._tell(
            events.AttemptDone(
                node.session,
                work.job_id,
                work.attempt,
                "stop",
                run.request.prompt_tokens,
                work.answer_tokens,
                work.cached_tokens,
            )
        )

    def _count(self, work: Work, node: Node) -> JobRun:
        """Bring a run's counts up to what an attempt has written, if it is still the latest."""
        run = self.outcome.jobs[int(work.job_id)]
        if work.attempt == run.attempts:
            earlier = run.request.answer_tokens - work.answer_tokens
            run.given_tokens = max(run.given_tokens, earlier + node.engine.tokens_of(work))
        return run

    # -- readers and faults ------------------------------------------------------------------

    def _submit(self, number: int) -> None:
        request = self.outcome.jobs[number].request
        self._tell(
            events.JobSubmitted(
                str(number),
                request.user,
                request.service_class,
                MODEL,
                prompt_tokens=request.prompt_tokens,
                conversation=request.conversation,
            )
        )

    def _end(self, job_id: str, *, has_answer: bool) -> None:
        run = self.outcome.jobs[int(job_id)]
        if run.ended_at is None:
            run.ended_at, run.has_answer = self.now, has_answer
            self._open -= 1

    def _fault(self, fault: Fault) -> None:
        if fault.kind == "restart":
            self._restart(fault.value)
            return
        node = self._nodes[fault.machine]
        self._FAULTS[fault.kind](self, node, fault)

    def _speed(self, node: Node, fault: Fault) -> None:
        node.engine.advance(self.now)
        node.engine.factor = fault.value
        self._mark(node, is_faulty=fault.value == 0)
        self._plan(node)

    def _failing(self, node: Node, fault: Fault) -> None:
        node.is_failing = fault.kind == "failing"
        self._mark(node, is_faulty=node.is_failing)

    def _gone(self, node: Node, fault: Fault) -> None:
        if node.session is not None:
            self._leave(node)

    def _back(self, node: Node, fault: Fault) -> None:
        if node.session is None:
            node.generation += fault.kind == "join-new"
            self._join(node)

    def _late(self, node: Node, fault: Fault) -> None:
        node.quiet_until = self.now + fault.value

    def _cold(self, node: Node, fault: Fault) -> None:
        node.cold_s = fault.value

    _FAULTS: ClassVar[dict[str, Callable[..., None]]] = {
        "speed": _speed,
        "failing": _failing,
        "mended": _failing,
        "leave": _gone,
        "join": _back,
        "join-new": _back,
        "late": _late,
        "cold": _cold,
    }

    def _mark(self, node: Node, *, is_faulty: bool) -> None:
        if is_faulty:
            node.faulty_since, node.mended_at = self.now, None
        elif node.faulty_since is not None or self._health(node) is Health.EJECTED:
            node.faulty_since, node.mended_at = None, self.now

    def _watch_ejection(self, node: Node) -> None:
        is_out = self._health(node) is Health.EJECTED
        if node.faulty_since is not None and is_out:
            self.outcome.eject_s.append(self.now - node.faulty_since)
            node.faulty_since = None
        elif node.mended_at is not None and not is_out:
            self.outcome.readmit_s.append(self.now - node.mended_at)
            node.mended_at = None

    def _health(self, node: Node) -> Health | None:
        record = self.state.records.get(node.instance_id)
        return record.health if record else None

    def _at(self, at: float, act: Callable[[], None]) -> None:
        heappush(self._agenda, (at, next(self._serial), act))
