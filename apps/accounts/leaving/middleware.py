"""Shows nothing but the way back, the export and the way out to who has asked to be deleted."""

from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from apps.middleware import AsyncMiddleware

# What is allauth's is about the account itself: signing out, and giving the password again.
_STILL_OPEN = ("/account/delete/", "/account/export/", "/accounts/", "/static/")


class LeavingMiddleware(AsyncMiddleware):
    """Leads a user whose account is to be deleted to the page that says when."""

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, or lead to that page."""
        if settings.SESSION_COOKIE_NAME in request.COOKIES and not _is_open(request):
            user = await request.auser()
            # Kept, so that a synchronous view does not read the same row again.
            request.user = user
            if getattr(user, "deletion_at", None) is not None:
                return HttpResponseRedirect(f"{cast(Any, request).sites.user}/account/delete/")
        return await self.get_response(request)


def _is_open(request: HttpRequest) -> bool:
    if request.path.startswith("/api/"):
        return True  # where it refuses by itself, as programs read it
    is_users_site = cast(Any, request).sites.name == "user"
    return is_users_site and request.path.startswith(_STILL_OPEN)
