"""A user's pages to take the data along, to leave, and to come back."""

from collections.abc import Callable
from typing import cast

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.conf import CONF
from apps.accounts.errors import AccountError
from apps.accounts.leaving import services
from apps.accounts.leaving.export import account_zip
from apps.accounts.mails import mail_send
from apps.accounts.models import User

_View = Callable[[HttpRequest], HttpResponseBase]
# A page is looked at without the password; what its form does is not done without it.
_confirmed: Callable[[_View], _View] = reauthentication_required(allow_get=True)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
@_confirmed
def export(request: HttpRequest) -> HttpResponseBase:
    """Tell what the export holds, and send it."""
    if request.method != "POST":
        return render(request, "accounts/export.html")
    name = f"motherfluxer-{timezone.now():%Y-%m-%d}.zip"
    archive = account_zip(user_id=_user(request).pk)
    response = HttpResponse(archive, content_type="application/zip")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
@_confirmed
def deletion(request: HttpRequest) -> HttpResponseBase:
    """Tell what deletion means, ask for it, and show when it will be."""
    user = _user(request)
    if request.method != "POST":
        return _deletion_page(request)
    try:
        due = services.deletion_ask(
            user=user, now=timezone.now(), session_key=request.session.session_key
        )
    except AccountError as error:
        return _deletion_page(request, problem=str(error), status=409)
    address = f"{request.sites.user}{request.path}"  # type: ignore[attr-defined]
    mail_send(name="deletion", to=user.email, about={"due": due, "way_back": address})
    return redirect("own_deletion")


@require_POST
@login_required
@never_cache
def deletion_withdraw(request: HttpRequest) -> HttpResponse:
    """Keep the account after all."""
    if services.deletion_withdraw(user=_user(request)):
        messages.success(request, "Your account stays. Your keys and instances work again.")
    return redirect("own_deletion")


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)


def _deletion_page(request: HttpRequest, *, problem: str = "", status: int = 200) -> HttpResponse:
    context = {"grace_days": CONF.deletion_grace_days, "problem": problem}
    return render(request, "accounts/deletion.html", context, status=status)
