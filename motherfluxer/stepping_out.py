"""The step out to another site that somebody signs in by.

The content policy lets our forms lead to our own pages only, and browsers hold it against a form's
redirects too. So the redirect to such a site becomes a page that goes there by itself.
"""

from urllib.parse import urlsplit

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from apps.middleware import AsyncMiddleware


class StepOutMiddleware(AsyncMiddleware):
    """Makes pages of redirects that allauth's forms answer with, where they lead elsewhere."""

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, by a page where it is a step out."""
        response = await self.get_response(request)
        match = request.resolver_match
        if request.method != "POST" or response.status_code != 302 or match is None:
            return response
        target = response.headers["Location"]
        is_social = match.func.__module__.startswith("allauth.socialaccount.")
        if not is_social or urlsplit(target).scheme not in ("http", "https"):
            return response
        return await sync_to_async(render)(
            request, "socialaccount/step_out.html", {"target": target}
        )
