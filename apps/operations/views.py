"""Health pages."""

from dataclasses import asdict

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.operations.health import parts_now


@require_safe
@never_cache
async def healthz(_: HttpRequest) -> JsonResponse:
    """Say that the process lives."""
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
async def readyz(_: HttpRequest) -> JsonResponse:
    """Say whether a question could be answered now, part by part."""
    parts = await parts_now()
    is_ready = all(part.ok for part in parts.values())
    body = {name: asdict(part) for name, part in parts.items()}
    status = "ready" if is_ready else "not ready"
    return JsonResponse({"status": status, **body}, status=200 if is_ready else 503)
