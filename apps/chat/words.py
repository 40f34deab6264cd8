"""Turns codes and figures into words that say what to do next. Pure."""

from dataclasses import dataclass, replace
from typing import Final

from apps.chat.cutting import CutBy
from apps.router.errors import ErrorCode
from apps.router.ports import Allowance


@dataclass(frozen=True, slots=True)
class Words:
    """What is said to the reader; `offers_signup`: an account would help.

    `code` is that of an error, or the limit that cut an answer.
    """

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
    ErrorCode.ANSWER_INTERRUPTED: "The answer was interrupted. Ask again.",
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
    ErrorCode.DATABASE_AWAY: (
        "The site cannot store anything for a moment. Your text is kept; send it again in some"
        " seconds."
    ),
    ErrorCode.ROUTER_AWAY: (
        "The site cannot reach its instances for a moment. Your text is kept; send it again in"
        " some seconds."
    ),
    ErrorCode.INTERNAL_ERROR: "Something went wrong on our side. Ask again in a moment.",
}


_PROOF_NEEDED: Final = (
    "To keep robots out, your browser does a small sum before each further answer; it needs"
    " JavaScript for that. With a free account you go on without. Your text is kept."
)
# How people call the stretch of time that a limit counts.
_SPANS: Final = {86_400: "today", 3_600: "this hour", 60: "this minute"}
_CUT: Final = "This answer was cut here: it has reached the limit of its length."
_CUT_FOR_VISITORS: Final = "This answer was cut here: it has reached the limit for visitors."
_BROKE_OFF: Final = "The answer broke off here, and no instance was left that could go on with it."
_NOBODY_CONTINUES: Final = (
    "No connected instance can go on with this answer right now. What has come is kept;"
    " continue it later, or ask again."
)


def cut_words(cut_by: str, *, is_visitor: bool) -> Words:
    """Say that an answer was cut, and at which limit; the page offers to go on beside it."""
    if cut_by == CutBy.DEMO and is_visitor:
        return Words(cut_by, _CUT_FOR_VISITORS, offers_signup=True)
    return Words(cut_by, _CUT)


def broken_off_words(code: str, *, allowance: Allowance | None = None) -> Words:
    """Say why an answer has a beginning only, and that it may be continued."""
    words = error_words(code, allowance=allowance)
    text = _BROKE_OFF if code == ErrorCode.ANSWER_INTERRUPTED else words.message
    message = f"{text} What has come is kept: “Continue” goes on from there."
    return replace(words, message=message)


def not_continued_words(
    code: str, message: str = "", *, allowance: Allowance | None = None
) -> Words:
    """Say why a broken-off answer was not continued."""
    if code == ErrorCode.ANSWER_INTERRUPTED:
        return Words(code, _NOBODY_CONTINUES)
    return error_words(code, message, allowance=allowance)


def error_words(code: str, message: str = "", *, allowance: Allowance | None = None) -> Words:
    """Say what went wrong and what to do; `message` where the code alone says too little.

    `allowance` is a visitor's, None for a registered user.
    """
    if code == ErrorCode.DEMO_LIMIT_REACHED and allowance is not None:
        return Words(code, _limit_reached(allowance), offers_signup=True)
    if code == ErrorCode.DEMO_BUSY:
        text = f"{message} Send it again in a moment. Registered users need not wait for this."
        return Words(code, text.strip(), offers_signup=True)
    if code == ErrorCode.PROOF_NEEDED:
        return Words(code, _PROOF_NEEDED, offers_signup=True)
    known = {str(key): words for key, words in _NEXT_STEPS.items()}.get(code)
    text = known or message or "This did not work. Ask again in a moment."
    if code == ErrorCode.QUEUE_FULL and allowance is not None:
        return Words(code, f"{text} Registered users go first.", offers_signup=True)
    return Words(code, text)


def _limit_reached(allowance: Allowance) -> str:
    count = _counted(allowance.limit, "free answer")
    used = f"You have used your {count}"
    if allowance.is_shared:
        used = f"Your network, which others may use too, has used its {count}"
    return (
        f"{used} for {_SPANS.get(allowance.window_s, 'now')}. With a free account you go on"
        " without a limit. Your text is kept."
    )


def place_words(
    *, place: int, waiting: int, online: int, expected_wait_s: float | None = None
) -> str:
    """Say where a question stands in the queue, and how long it will wait if that is known."""
    if online == 0:
        return (
            f"No instance is connected right now. You are number {place} in the queue;"
            " the answer starts as soon as one joins."
        )
    where = "You are next" if place == 1 else f"Place {place} of {waiting}"
    return where if expected_wait_s is None else f"{where} · {wait_words(expected_wait_s)}"


def wait_words(seconds: float) -> str:
    """Say an expected wait as roughly as it is known, rounded up: the words seldom change."""
    if seconds <= 5:
        return "a few seconds"
    if seconds <= 60:
        step = 5 if seconds <= 30 else 10
        return f"about {-int(-seconds // step) * step} seconds"
    return f"about {duration_words(seconds)}"


def left_words(allowance: Allowance) -> str:
    """Say how many answers are left."""
    span = _SPANS.get(allowance.window_s, "")
    words = f"{allowance.left} of {allowance.limit} left {span}".rstrip()
    return f"{words} for your network" if allowance.is_shared else words


def comes_back_words(allowance: Allowance, *, now: float) -> str:
    """Say when it is one more; empty while nothing was taken. Scripts say it by the clock."""
    if allowance.comes_back_at is None:
        return ""
    return f"the next comes back in {duration_words(allowance.comes_back_at - now)}"


def duration_words(seconds: float) -> str:
    """Say a duration in its largest fitting unit, rounded up."""
    minutes = max(1, -int(-seconds // 60))
    if minutes < 60:
        return _counted(minutes, "minute")
    return _counted(-(-minutes // 60), "hour")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
