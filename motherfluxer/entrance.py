"""Who enters the operators' and the superadmin's site: the role, and a second factor.

Everything on these two sites is closed but the pages to sign in and the health pages, so that
neither a new page nor Django's own login form is a way around.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

from allauth.account.adapter import get_adapter
from allauth.account.views import logout as account_logout
from asgiref.sync import sync_to_async
from django.apps import apps
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.http import escape_leading_slashes

from apps.accounts.factors import session_has_factor
from apps.middleware import AsyncMiddleware

ROLES: Final = {"admin": "is_operator", "superadmin": "is_superadmin"}
# In the session: the page that its reader wanted, while a second factor is set up. Only this module
# writes it, and only addresses of the site itself, which "//example.org/" is none of.
GOAL_KEY: Final = "entrance_goal"
_OPEN: Final = ("allauth.", "apps.accounts.sessions", "apps.operations.", __name__)


class EntranceMiddleware(AsyncMiddleware):
    """Turns away, before the view, whoever may not enter the two closed sites."""

    def __init__(self, get_response: Callable[[HttpRequest], Awaitable[HttpResponse]]) -> None:
        if not apps.is_installed("apps.accounts"):
            raise MiddlewareNotUsed("Nobody has a role.")
        super().__init__(get_response)

    async def process_view(
        self, request: HttpRequest, view: Callable[..., Any], _args: Any, _kwargs: Any
    ) -> HttpResponse | None:
        """Let a request through to its view, or answer it here."""
        site = cast(Any, request).sites.name
        if site not in ROLES or view.__module__.startswith(_OPEN):
            return None
        refusal = await sync_to_async(_turn_away)(request, ROLES[site])
        if refusal is not None and request.path.startswith("/api/"):
            # A session that is not good enough is none; keys are for the API itself to judge.
            cast(Any, request).user = AnonymousUser()
            return None
        return refusal


def _turn_away(request: HttpRequest, role: str) -> HttpResponse | None:
    user = cast(Any, request.user)
    here = request.get_full_path()
    if not user.is_authenticated:
        return redirect_to_login(here, reverse("account_login"))
    if not (user.may_act and getattr(user, role)):
        return render(request, "entrance/not_yours.html", status=403)
    if not user.has_second_factor:
        if _is_page(request):
            request.session[GOAL_KEY] = escape_leading_slashes(here)
        return redirect("mfa_index")
    if not session_has_factor(request):
        methods = get_adapter().get_reauthentication_methods(user)
        by_factor = [one["url"] for one in methods if one["id"].startswith("mfa_")]
        return redirect_to_login(here, by_factor[-1])
    request.session.pop(GOAL_KEY, None)
    return None


def _is_page(request: HttpRequest) -> bool:
    """Whether this is asked for to be looked at; browsers tell it of what their scripts fetch."""
    is_read = request.method == "GET" and not request.path.startswith("/api/")
    return is_read and request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate"


def _instead(name: str) -> Callable[[HttpRequest], HttpResponse]:
    def view(request: HttpRequest) -> HttpResponse:
        target = reverse(name)
        query = request.META.get("QUERY_STRING", "")
        return redirect(f"{target}?{query}" if query else target)

    return view


# In front of Django's admin, whose own pages for this know no second factor.
urlpatterns = [
    path("login/", _instead("account_login")),
    path("logout/", account_logout),
    path("password_change/", _instead("account_change_password")),
]
