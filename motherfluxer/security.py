"""The content security policy: no inline script, no foreign origin."""

from typing import Any

from django.http import HttpRequest, HttpResponse

from apps.middleware import AsyncMiddleware

POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)


class ContentSecurityPolicyMiddleware(AsyncMiddleware):
    """Adds the policy to every page."""

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with the policy's header."""
        response = await self.get_response(request)
        response.setdefault("Content-Security-Policy", POLICY)
        return response


def static_headers(headers: Any, _path: str, _url: str) -> None:
    """Give static files what the middleware gives pages; they do not pass through it."""
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Content-Security-Policy"] = POLICY
