"""Turns codes and figures into words that say what to do next. Pure."""

from dataclasses import dataclass

from apps.router.errors import ErrorCode
from apps.router.ports import Allowance


@dataclass(frozen=True, slots=True)
class Words:
    """What is said to the reader; `offers_signup`: an account would help."""

    code: str
    message: str
    offers_signup: bool = False

    def as_data(self) -> dict[str, str | bool]:
        """Return what the page's scripts read."""
        return {"code": self.code, "message": self.message, "offers_signup": self.offers_signup}


_NEXT_STEPS = {
    ErrorCode.ANSWER_RUNNING: (
        "Your last question is still being answered. Wait for it or stop it, then send this one."
    ),
    ErrorCode.QUEUE_FULL: (
        "More people are waiting than the instances can answer soon. Send it again in a minute."
    ),
    ErrorCode.NO_INSTANCE: "No instance is connected right now. Send it again in a minute.",
    ErrorCode.QUEUE_TIMEOUT: "No instance became free in time. Ask again in a minute.",
    ErrorCode.ANSWER_INTERRUPTED: "The answer was interrupted and cannot go on. Ask again.",
    ErrorCode.INSTANCES_FAILED: (
        "The instances that tried could not finish this answer. Ask again, or in other words."
    ),
    ErrorCode.CONTEXT_LENGTH_EXCEEDED: (
        "This is too long for the model. Shorten the question, or begin a new chat."
    ),
    ErrorCode.MODEL_NOT_FOUND: (
        "The model that answers here by default is not available. Try again later."
    ),
    ErrorCode.SHUTTING_DOWN: "The site is restarting. Ask again in a few seconds.",
    ErrorCode.INTERNAL_ERROR: "Something went wrong on our side. Ask again in a moment.",
}


def error_words(code: str, message: str = "", *, allowance: Allowance | None = None) -> Words:
    """Say what went wrong and what to do; `message` where the code alone says too little.

    `allowance` is a visitor's, None for a registered user.
    """
    if code == ErrorCode.DEMO_LIMIT_REACHED and allowance is not None:
        return Words(code, _limit_reached(allowance), offers_signup=True)
    known = {str(key): words for key, words in _NEXT_STEPS.items()}.get(code)
    text = known or message or "This did not work. Ask again in a moment."
    if code == ErrorCode.QUEUE_FULL and allowance is not None:
        return Words(code, f"{text} Registered users go first.", offers_signup=True)
    return Words(code, text)


def _limit_reached(allowance: Allowance) -> str:
    count = _counted(allowance.limit, "free answer")
    return (
        f"You have used your {count} for today. With a free account you go on without a limit."
        " Your text is kept."
    )


def place_words(*, place: int, waiting: int, online: int) -> str:
    """Say where a question stands in the queue and what it waits for."""
    if online == 0:
        return (
            f"No instance is connected right now. You are number {place} in the queue;"
            " the answer starts as soon as one joins."
        )
    if place == 1:
        return "All instances are busy. You are next."
    return f"All instances are busy. You are number {place} of {waiting} in the queue."


def allowance_words(allowance: Allowance, *, now: float) -> str:
    """Say when a visitor's number starts afresh; empty while nothing was taken."""
    if allowance.left == allowance.limit:
        return ""
    return f"resets in {duration_words(allowance.resets_at - now)}"


def duration_words(seconds: float) -> str:
    """Say a duration in its largest fitting unit, rounded up."""
    minutes = max(1, -int(-seconds // 60))
    if minutes < 60:
        return _counted(minutes, "minute")
    return _counted(-(-minutes // 60), "hour")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
