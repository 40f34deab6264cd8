"""The public pages that explain the routing."""

from typing import Any, Final

import msgspec
from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from apps.router import selectors
from apps.router.conf import CONF
from apps.router.core.values import AttemptOutcome, RuledOut
from apps.router.records.attempts import Attempt
from apps.router.records.entries import PublicDecision

_LATEST_COUNT: Final = 50

REASONS: Final[dict[str, str]] = {
    RuledOut.MODEL_NOT_SERVED: "does not serve this model",
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


async def transparency(request: HttpRequest) -> HttpResponse:
    """Show the latest decisions: no content, no user."""
    latest = [_attempt(one) for one in await selectors.decisions_latest(count=_LATEST_COUNT)]
    return await _page(
        request, "transparency/index.html", {"decisions": latest, "kept_days": CONF.log_kept_days}
    )


async def status(request: HttpRequest) -> HttpResponse:
    """Show how many instances serve which model, and how many requests run and wait."""
    view = selectors.router_view()
    running = sum(job.place is None for job in view.jobs)
    context = {"view": view, "running": running, "waiting": len(view.jobs) - running}
    return await _page(request, "transparency/status.html", context)


async def decision(request: HttpRequest, job_id: str) -> HttpResponse:
    """Show why an answer came from its instance."""
    context = {"job_id": job_id, "attempts": await _attempts_of(job_id)}
    return await _page(request, "transparency/decision.html", context)


async def decision_json(_: HttpRequest, job_id: str) -> JsonResponse:
    """Give the same to programs."""
    return JsonResponse({"job_id": job_id, "attempts": await _attempts_of(job_id)})


async def _page(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    """Render in a thread: a template is read from disk at its first use."""
    return await sync_to_async(render, thread_sensitive=False)(request, template, context)


async def _attempts_of(job_id: str) -> list[dict[str, Any]]:
    attempts = await selectors.decisions_of_job(job_id=job_id)
    if not attempts:
        raise Http404(f"No decision about this answer is kept; {CONF.log_kept_days} days' are.")
    return [_attempt(one) for one in attempts]


def _attempt(attempt: Attempt) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.to_builtins(attempt.decision)
    del made["candidates"], made["winner_index"]
    ended = None
    if attempt.ended and attempt.ended_at:
        ended = {
            "ended_at": attempt.ended_at.isoformat(timespec="milliseconds"),
            "outcome": attempt.ended.outcome,
            "words": OUTCOMES.get(attempt.ended.outcome, attempt.ended.outcome),
            "tokens": attempt.ended.tokens,
        }
    return {
        **made,
        "made_at": attempt.made_at.isoformat(timespec="milliseconds"),
        "table": _table(attempt.decision),
        "ended": ended,
    }


def _table(decision: PublicDecision) -> list[dict[str, Any]]:
    rows = []
    for number, candidate in enumerate(decision.candidates):
        row: dict[str, Any] = msgspec.to_builtins(candidate)
        row["load"] = round(candidate.open_jobs / candidate.slots, 3) if candidate.slots else None
        row["ruled_out"] = REASONS.get(candidate.ruled_out or "", candidate.ruled_out)
        row["is_winner"] = number == decision.winner_index
        rows.append(row)
    return rows
