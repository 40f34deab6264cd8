"""The core's errors. Pure.

CoreError
└── IllegalTransitionError      a job was moved to a state that it can't reach from its own
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
