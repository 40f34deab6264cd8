"""What the pages call the core's states, reasons and rules. Pure."""

from typing import Final

from apps.router.core.selection.soonest import FAILURE_S, HOLD_MAX_S, LOAD_S, READING
from apps.router.core.settings import CoreSettings
from apps.router.core.values import AttemptOutcome, Health, RuledOut, ServiceClass

REASONS: Final[dict[str, str]] = {
    RuledOut.MODEL_NOT_SERVED: "does not serve this model",
    RuledOut.PAUSED: "pauses while its engine starts again",
    RuledOut.DRAINING: "is winding up and takes nothing new",
    RuledOut.EJECTED: "has failed too often lately and is left alone for a while",
    RuledOut.NO_FREE_SLOT: "had no free slot",
    RuledOut.FAILED_THIS_JOB: "has failed this very request before",
    RuledOut.CANNOT_CONTINUE: "can't go on from a partial answer",
    RuledOut.CONTEXT_TOO_SHORT: "can't hold so long a conversation",
}

OUTCOMES: Final[dict[str, str]] = {
    AttemptOutcome.DONE: "the answer was complete",
    AttemptOutcome.CANCELLED: "its reader wanted no more",
    AttemptOutcome.REFUSED: "the instance refused the request",
    AttemptOutcome.FAILED: "the instance failed",
    AttemptOutcome.OVERLOADED: "the instance had no room after all",
    AttemptOutcome.GAVE_UP: "the instance gave up",
    AttemptOutcome.LINK_LOST: "the connection to the instance was lost",
    AttemptOutcome.FORGOTTEN: "the instance no longer knew of the request",
    AttemptOutcome.FIRST_TOKEN_LATE: "nothing came from the instance in time",
    AttemptOutcome.STUCK: "the instance stopped in the middle of the answer",
    AttemptOutcome.SILENT: "the instance fell silent",
}

CLASSES: Final[dict[str, str]] = {
    ServiceClass.REGISTERED: "a registered user",
    ServiceClass.DEMO: "a visitor",
    ServiceClass.PROBE: "the site itself, to check",
}

_LOWEST: Final = (
    "The lowest score gets the request; among equals, whose last request is longest ago."
)

_SCORES: Final[dict[str, str]] = {
    "random": "Each instance that could have the request draws a number.",
    "round-robin": "The score is the number of the instance's last request.",
    "least-loaded": "The score is the share of the instance's slots in use.",
    "two-choices": "Two instances are drawn; the score is the share of their slots in use.",
    "peak-ewma": (
        "The score is the latency that the instance showed lately, which rises at once and sinks"
        " slowly, times its open requests."
    ),
    "c3": "The score is the response time plus the cube of the open requests by the service time.",
    "prequal": (
        "Instances with few open requests go before those with many; the score of the former is"
        " their latency."
    ),
    "prefix-affinity": (
        "The score is the share of the slots in use; the instance that holds the conversation goes"
        " first."
    ),
}


def rule_words(rule: str, settings: CoreSettings) -> str:
    """Say what a rule adds up; `rule` is its name with its version."""
    name = rule.partition("/")[0]
    if name == "soonest":
        return f"{_soonest_words(settings)} {_LOWEST}"
    return f"{_SCORES[name]} {_LOWEST}" if name in _SCORES else _LOWEST


def _soonest_words(settings: CoreSettings) -> str:
    return (
        "The score is in seconds, for this request on each instance that could have it: the"
        " expected time to the first token,"
        f" plus {READING:g} of the time to write {settings.usual_output_tokens} tokens,"
        " plus how long a first token there is overdue or how far away it is,"
        f" plus {FAILURE_S:g} s for each recent failure (half of it is forgotten every"
        f" {settings.failure_half_life_s:g} s), plus {LOAD_S:g} s times the share of its slots in"
        " use. A request that one of the busy instances would answer much sooner may wait for it,"
        f" up to {HOLD_MAX_S:g} s."
    )


def health_words(settings: CoreSettings) -> dict[str, str]:
    """Say what each state of an instance means, in the order of its life."""
    return {
        Health.JOINING: "has just connected and has not spoken yet",
        Health.PROBATION: (
            f"is new or was ejected: it has to give {settings.probation_answers} good answers"
        ),
        Health.HEALTHY: "answers as it should",
        Health.SLOW: (
            f"takes over {settings.slow_enter:g} times as long per token as is usual for its model"
        ),
        Health.EJECTED: (
            f"failed {settings.failures_to_eject} times in a row, or once on probation after that:"
            " it is left alone for a while, then gets a single request to prove itself"
        ),
        Health.DRAINING: "is winding up: it finishes what it has and takes nothing new",
        Health.GONE: (
            f"has left; it is remembered for {settings.forget_gone_s / 60:g} minutes, in case it"
            " comes back"
        ),
    }
