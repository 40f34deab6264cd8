"""A user's own API keys."""

from datetime import datetime
from typing import Any, cast

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.errors import AccountError, ApiKeyScopeError, ApiKeyUnknownError
from apps.accounts.keys import selectors, services
from apps.accounts.keys.forms import ApiKeyForm, RotateForm
from apps.accounts.keys.models import ApiKey
from apps.accounts.keys.notices import api_key_made_tell
from apps.accounts.models import User


@require_safe
@login_required
@never_cache
def keys(request: HttpRequest) -> HttpResponse:
    """List the user's live keys."""
    now = timezone.now()
    live = [_as_shown(key, now) for key in selectors.api_keys_live(user_id=_user(request).pk)]
    return render(request, "accounts/keys.html", {"keys": live})


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@reauthentication_required  # type: ignore[untyped-decorator]  # allauth has no types
@never_cache
def key_create(request: HttpRequest) -> HttpResponse:
    """Ask what a new key is to be good for; issue it and show it in that one response."""
    form = ApiKeyForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        name = form.cleaned_data["name"]
        try:
            key, text = services.api_key_issue(
                user=_user(request), name=name, is_name_fresh=True, **form.scope
            )
        except ApiKeyScopeError as error:
            form.add_error("requests_per_minute", str(error))
        except AccountError as error:
            form.add_error("name", str(error))
        else:
            api_key_made_tell(key=key)
            return _shown_once(request, key, text)
    status = 400 if form.is_bound else 200
    return render(request, "accounts/key_new.html", {"form": form}, status=status)


@require_safe
@login_required
@never_cache
def key(request: HttpRequest, key_id: int) -> HttpResponse:
    """Show one key, and offer to rotate or revoke it."""
    return _page_of(request, _live_key(request, key_id))


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@reauthentication_required  # type: ignore[untyped-decorator]  # allauth has no types
@never_cache
def key_rotate(request: HttpRequest, key_id: int) -> HttpResponse:
    """Rotate a key's secret and show it in this one response."""
    if request.method != "POST":  # whom the question for the password sends on by address
        return redirect("api_key", key_id)
    found, form = _live_key(request, key_id), RotateForm(request.POST)
    if not form.is_valid():
        return _page_of(request, found, problem="Choose when the old secret ends.", status=400)
    try:
        rotated, text = services.api_key_rotate(
            user=_user(request),
            key_id=key_id,
            grace=form.grace_time,
            rotated_before=form.cleaned_data["rotated_before"],
        )
    except AccountError as error:
        found.refresh_from_db()
        return _page_of(request, found, problem=str(error), status=400)
    api_key_made_tell(key=rotated, is_rotated=True)
    return _shown_once(request, rotated, text)


@require_POST
@login_required
def key_revoke(request: HttpRequest, key_id: int) -> HttpResponse:
    """Revoke one of the user's keys."""
    try:
        revoked = services.api_key_revoke(user=_user(request), key_id=key_id)
    except AccountError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"Revoked “{revoked.name}”.")
    return redirect("api_keys")


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)


def _live_key(request: HttpRequest, key_id: int) -> ApiKey:
    try:
        return selectors.api_key_live(user_id=_user(request).pk, key_id=key_id)
    except ApiKeyUnknownError as error:
        raise Http404 from error


def _shown_once(request: HttpRequest, key: ApiKey, text: str) -> HttpResponse:
    return render(request, "accounts/key_shown.html", {"key": key, "text": text})


def _page_of(
    request: HttpRequest, key: ApiKey, *, problem: str = "", status: int = 200
) -> HttpResponse:
    now = timezone.now()
    context = {
        **_as_shown(key, now),
        "form": RotateForm(initial={"rotated_before": key.rotation_mark}),
        "problem": problem,
        "is_in_grace": key.previous_until is not None and now < key.previous_until,
    }
    return render(request, "accounts/key.html", context, status=status)


def _as_shown(key: ApiKey, now: datetime) -> dict[str, Any]:
    return {"key": key, "state": key.state_at(now), "expires_soon": key.expires_soon_at(now)}
