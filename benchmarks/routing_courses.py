"""Short courses of the real core that `docs/routing.md` shows, as figures and as pictures."""

from collections import Counter
from typing import Final

from apps.router.core import effects, events
from apps.router.core.selection.soonest import Soonest
from apps.router.core.settings import CoreSettings
from apps.router.core.state import RouterState
from apps.router.core.step import step
from apps.router.core.values import Decision, FailureCode, Health, ServedModel, ServiceClass
from benchmarks.line_chart import Chart, Line

_MODEL: Final = ServedModel("tiny", 8192, 4096, can_continue=True)
_REGISTERED: Final = ServiceClass.REGISTERED


class Course:
    """The real core, told a story."""

    def __init__(self, **settings: float) -> None:
        self.state = RouterState(settings=CoreSettings(**settings))  # type: ignore[arg-type]
        self.now = 0.0
        self.made: list[effects.Effect] = []

    def tell(self, event: events.Event) -> None:
        """Let something happen."""
        self.made += step(self.state, event, self.now)

    def join(self, name: str, slots: int) -> None:
        """Connect an instance that has spoken."""
        self.tell(events.InstanceJoined(name, name, name, (_MODEL,), slots))
        self.tell(events.HeartbeatReceived(name, (), slots))

    def ask(self, job: str, user: str = "u", prompt: int = 950, conversation: str = "") -> str:
        """Hand in a job; return the link that got it."""
        asked = events.JobSubmitted(
            job, user, _REGISTERED, "tiny", prompt_tokens=prompt, conversation=conversation
        )
        self.tell(asked)
        return self.state.jobs[job].session or ""

    def answer(self, job: str, first_s: float, token_s: float, tokens: int = 101) -> None:
        """Let a job's instance answer."""
        one = self.state.jobs[job]
        self.now += first_s
        self.tell(events.JobProgressed(job, one.attempt, 1))
        self.now += token_s * (tokens - 1)
        self.tell(events.JobProgressed(job, one.attempt, tokens))
        self.done(job, tokens)

    def done(self, job: str, tokens: int) -> None:
        """Let a job's instance end it."""
        one = self.state.jobs[job]
        counts = (one.prompt_tokens, tokens, 0)
        self.tell(events.AttemptDone(one.session or "", job, one.attempt, "stop", *counts))

    def school(self, name: str, first_s: float, token_s: float, answers: int = 6) -> None:
        """Let an instance answer alone, so that its speed is known."""
        self.join(name, 1)
        for n in range(answers):
            self.ask(f"{name}-{n}")
            self.answer(f"{name}-{n}", first_s, token_s)
        self.tell(events.LinkBroken(name))


def pictures() -> dict[str, str]:
    """Return all pictures as SVG by their file names."""
    return {
        "routing-scores.svg": _scores(),
        "routing-deadlines.svg": _deadlines(),
        "routing-ejections.svg": _ejections(),
        "routing-fairness.svg": _fairness(),
    }


def example_decision() -> Decision:
    """Return a decision over four unlike instances, one of which holds the conversation."""
    course = Course(ejection_jitter=0.0, ejected_share=1.0, ejection_s=30.0)
    speeds = {
        "shed": (0.8, 0.04),
        "desk": (1.2, 0.05),
        "laptop": (1.5, 0.08),
        "rack": (0.4, 0.02),
    }
    for name, (first_s, token_s) in speeds.items():
        course.school(name, first_s, token_s)
    course.join("shed", 4)
    for n in range(3):
        course.ask(f"bad-{n}")
        course.tell(events.AttemptFailed("shed", f"bad-{n}", 1, FailureCode.ENGINE_ERROR, "broken"))
    course.join("desk", 2)
    course.ask("earlier", prompt=700, conversation="c")
    course.answer("earlier", 0.8, 0.05)
    course.join("laptop", 1)
    course.join("rack", 2)
    for n in range(3):
        course.ask(f"other-{n}")
    course.ask("this", prompt=900, conversation="c")
    return [e.decision for e in course.made if isinstance(e, effects.RecordDecision)][-1]


def _scores() -> str:
    course = Course()
    kinds = (("fast, idle", 0.4, 0.02), ("middling, idle", 1.2, 0.05), ("slow, idle", 3.0, 0.12))
    for name, first_s, token_s in kinds:
        course.school(name, first_s, token_s)
    for name, _, _ in kinds:
        course.join(name, 4)
    found = list(course.state.instances.values())
    chart = Chart("Score by the prompt's length", "prompt, tokens", "score, s")
    prompts = range(0, 4001, 250)
    for number, instance in enumerate(found):
        points = [(float(p), _score(course, instance.session, p)) for p in prompts]
        chart.lines.append(Line(instance.name, points, number))
    for n in range(3):
        instance = found[0]
        instance.open_jobs[f"busy-{n}"] = 1
    points = [(float(p), _score(course, found[0].session, p)) for p in prompts]
    chart.lines.insert(1, Line("fast, three jobs", points, 3))
    return chart.svg()


def _score(course: Course, session: str, prompt: int) -> float:
    course.tell(events.JobSubmitted("probe", "u", _REGISTERED, "tiny", prompt_tokens=prompt))
    job, instance = course.state.jobs["probe"], course.state.instances[session]
    owner = course.state.instances[job.session or ""]
    del owner.open_jobs["probe"]
    [score] = Soonest().scores([instance], job, course.state, course.now)
    owner.open_jobs["probe"] = job.attempt
    course.done("probe", 0)
    return score or 0.0


def _deadlines() -> str:
    chart = Chart("Deadline for the first token", "expected, s", "deadline, s")
    for number, (words, spread) in enumerate((("even", 0.0), ("uneven by a half", 0.5))):
        points = []
        for tenths in range(1, 161):
            expected = tenths / 10
            course = Course()
            course.join("a", 1)
            for n in range(30):
                course.ask(f"j{n}")
                course.answer(f"j{n}", expected * (1 + (spread if n % 2 else -spread)), 0.01)
            course.ask("now")
            attempt = course.state.jobs["now"].running
            if attempt is not None:
                known = attempt.expected_at - attempt.started_at
                points.append((known, attempt.due_at - attempt.started_at))
        chart.lines.append(Line(words, sorted(points), number))
    return chart.svg()


def _ejections() -> str:
    course = Course(ejection_jitter=0.0, ejected_share=1.0)
    course.join("a", 1)
    points = []
    job = 0
    while course.now < 200:
        course.tell(events.HeartbeatReceived("a", (), 1))
        course.tell(events.TimePassed())
        record = course.state.records["a"]
        if record.health is not Health.EJECTED or course.now >= record.ejected_until:
            job += 1
            course.ask(f"j{job}")
            failed = events.AttemptFailed("a", f"j{job}", 1, FailureCode.ENGINE_ERROR, "broken")
            course.tell(failed)
        points.append((course.now, float(job)))
        course.now += 0.5
    chart = Chart("An instance that fails every job", "time, s", "jobs that it was given")
    chart.lines.append(Line("jobs", points, 0))
    return chart.svg()


def _fairness() -> str:
    course = Course()
    course.join("a", 1)
    appetites = {"ten a second": 10, "three": 3, "two": 2, "one": 1}
    served: Counter[str] = Counter()
    points: dict[str, list[tuple[float, float]]] = {user: [(0.0, 0.0)] for user in appetites}
    number = 0
    while course.now < 60:
        for user, count in appetites.items():
            for _ in range(count):
                number += 1
                course.ask(f"{user}/{number}", user, prompt=10)
        running = next(iter(course.state.instances["a"].open_jobs))
        user = running.partition("/")[0]
        course.now += 1.0
        course.done(running, 20 + number % 7)
        served[user] += 20 + number % 7
        for other, line in points.items():
            line.append((course.now, float(served[other])))
    chart = Chart("Four users who ask 10 : 3 : 2 : 1", "time, s", "tokens served")
    for number, (user, line) in enumerate(points.items()):
        chart.lines.append(Line(user, line, number))
    return chart.svg()
