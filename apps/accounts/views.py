"""A user's own API keys."""

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.conf import CONF
from apps.accounts.errors import AccountError
from apps.accounts.keys import selectors, services
from apps.accounts.models import User


@require_safe
@login_required
@never_cache
def keys(request: HttpRequest) -> HttpResponse:
    """List the user's live keys."""
    return _page(request)


@require_POST
@login_required
@never_cache
def key_create(request: HttpRequest) -> HttpResponse:
    """Issue a key and show it in this one response."""
    name = request.POST.get("name", "")
    try:
        _key, text = services.api_key_issue(user=_user(request), name=name, is_name_fresh=True)
    except AccountError as error:
        return _page(request, name=name, problem=str(error), status=400)
    return _page(request, text=text)


@require_POST
@login_required
def key_revoke(request: HttpRequest, key_id: int) -> HttpResponse:
    """Revoke one of the user's keys."""
    try:
        key = services.api_key_revoke(user=_user(request), key_id=key_id)
    except AccountError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"Revoked “{key.name}”.")
    return redirect("api_keys")


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)


def _page(
    request: HttpRequest,
    *,
    text: str | None = None,
    name: str = "",
    problem: str = "",
    status: int = 200,
) -> HttpResponse:
    context = {
        "keys": selectors.api_keys_live(user_id=_user(request).pk),
        "fresh_key": text,
        "name": name,
        "problem": problem,
        "name_chars": CONF.api_key_name_chars,
    }
    return render(request, "accounts/keys.html", context, status=status)
