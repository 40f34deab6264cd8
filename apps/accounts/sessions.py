"""A user's sessions: which site and browser each is of, and how one of them ends."""

from datetime import datetime
from typing import Any, cast

from allauth.usersessions.adapter import get_adapter
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.sessions.models import Session
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST


def on_signed_in(request: HttpRequest, **_: Any) -> None:
    """Note which site a fresh session is of."""
    mine = UserSession.objects.filter(session_key=request.session.session_key)
    mine.update(data={"site": cast(Any, request).sites.name})


def sessions_forget_ended(*, now: datetime) -> int:
    """Forget browser and address of sessions that are no more; return how many there were."""
    lasting = Session.objects.filter(expire_date__gt=now).values("session_key")
    return int(UserSession.objects.exclude(session_key__in=lasting).delete()[0])


@require_POST
@login_required
def session_end(request: HttpRequest, session_id: int) -> HttpResponse:
    """End one of the user's other sessions."""
    mine = UserSession.objects.filter(user_id=request.user.pk)
    others = mine.exclude(session_key=request.session.session_key)
    get_adapter().end_sessions([get_object_or_404(others, pk=session_id)])
    messages.success(request, "That session has ended.")
    return redirect("usersessions_list")
