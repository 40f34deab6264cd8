"""The public pages that explain the routing."""

from typing import Any, Final

import msgspec
from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from apps.router import selectors
from apps.router.core.values import Candidate, RuledOut
from apps.router.live.decisions import MAX_JOBS, RecordedDecision

_LATEST_COUNT: Final = 50

_REASONS: Final = {
    RuledOut.MODEL_NOT_SERVED: "does not serve this model",
    RuledOut.DRAINING: "is winding up and takes nothing new",
    RuledOut.NO_FREE_SLOT: "had no free slot",
    RuledOut.FAILED_THIS_JOB: "has failed this very request before",
    RuledOut.CANNOT_CONTINUE: "can't go on from a partial answer",
}


async def transparency(request: HttpRequest) -> HttpResponse:
    """Show the latest decisions: no content, no user."""
    latest = [_attempt(recorded) for recorded in selectors.decisions_latest(count=_LATEST_COUNT)]
    return await _page(request, "transparency/index.html", {"decisions": latest})


async def status(request: HttpRequest) -> HttpResponse:
    """Show how many instances serve which model, and how many requests run and wait."""
    view = selectors.router_view()
    running = sum(job.place is None for job in view.jobs)
    context = {"view": view, "running": running, "waiting": len(view.jobs) - running}
    return await _page(request, "transparency/status.html", context)


async def decision(request: HttpRequest, job_id: str) -> HttpResponse:
    """Show why an answer came from its instance."""
    context = {"job_id": job_id, "attempts": _attempts_of(job_id)}
    return await _page(request, "transparency/decision.html", context)


async def decision_json(_: HttpRequest, job_id: str) -> JsonResponse:
    """Give the same to programs."""
    return JsonResponse({"job_id": job_id, "attempts": _attempts_of(job_id)})


async def _page(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    """Render in a thread: a template is read from disk at its first use."""
    return await sync_to_async(render, thread_sensitive=False)(request, template, context)


def _attempts_of(job_id: str) -> list[dict[str, Any]]:
    recorded = selectors.decisions_of_job(job_id=job_id)
    if not recorded:
        raise Http404(f"No decision about this answer is kept; the latest {MAX_JOBS} are.")
    return [_attempt(one) for one in recorded]


def _attempt(recorded: RecordedDecision) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.to_builtins(recorded.decision)
    rows = [_candidate(candidate) for candidate in recorded.decision.candidates]
    del made["at"], made["candidates"]
    return {**made, "made_at": recorded.made_at.isoformat(timespec="milliseconds"), "table": rows}


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {
        "name": candidate.name,
        "open_jobs": candidate.open_jobs,
        "slots": candidate.slots,
        "load": round(candidate.load, 3),
        "last_assigned": candidate.last_assigned,
        "ruled_out": _REASONS[candidate.ruled_out] if candidate.ruled_out else None,
    }
