"""The public pages that explain the routing."""

from typing import Any, Final

from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from apps.router import selectors
from apps.router.conf import CONF
from apps.router.explaining import attempt_explained, bars_add
from apps.router.words import health_words

_LATEST_COUNT: Final = 50


async def transparency(request: HttpRequest) -> HttpResponse:
    """Show the latest decisions: no content, no user."""
    latest = await selectors.decisions_latest(count=_LATEST_COUNT)
    return await _page(
        request, "transparency/index.html", {"latest": latest, "kept_days": CONF.log_kept_days}
    )


async def status(request: HttpRequest) -> HttpResponse:
    """Show how many instances serve which model, and how many requests run and wait."""
    view = selectors.router_view()
    context = {
        "view": view,
        "running": sum(one.running for one in view.queue),
        "waiting": sum(one.waiting for one in view.queue),
        "has_known": any(view.health.values()),
        "health_words": health_words(selectors.core_settings()),
    }
    return await _page(request, "transparency/status.html", context)


async def decision(request: HttpRequest, job_id: str) -> HttpResponse:
    """Show why an answer came from its instance."""
    attempts = await _attempts_of(job_id)
    bars_add(attempts)
    context = {"job_id": job_id, "attempts": attempts}
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
    settings = selectors.core_settings()
    return [attempt_explained(one, settings) for one in attempts]
