"""The core's errors. Pure.

CoreError
├── IllegalTransitionError      a job was moved to a state that it can't reach from its own
├── IllegalHealthError          an instance was moved to a health that it can't reach from its own
└── UnknownRuleError            no selection rule has that name
"""


class CoreError(Exception):
    """Something that must not happen inside the core."""


class IllegalTransitionError(CoreError):
    """A job was moved to a state that it can't reach from its own."""

    def __init__(self, job_id: str, old: str, new: str) -> None:
        super().__init__(f"job {job_id}: {old} -> {new}")
        self.job_id = job_id
        self.old = old
        self.new = new


class IllegalHealthError(CoreError):
    """An instance was moved to a health that it can't reach from its own."""

    def __init__(self, instance_id: str, old: str, new: str) -> None:
        super().__init__(f"instance {instance_id}: {old} -> {new}")
        self.instance_id = instance_id
        self.old = old
        self.new = new


class UnknownRuleError(CoreError):
    """No selection rule has that name."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"no rule {name!r}; there are {', '.join(known)}")
        self.name = name
        self.known = known
