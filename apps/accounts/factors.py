"""Second factors: which sessions came in by one, and what follows when one comes or goes."""

from typing import Any

from allauth.mfa.models import Authenticator
from allauth.usersessions.adapter import get_adapter as get_sessions_adapter
from allauth.usersessions.models import UserSession
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest

SESSION_KEY = "second_factor"


def session_has_factor(request: HttpRequest) -> bool:
    """Whether the request's session came in by a second factor that its user still has."""
    noted = request.session.get(SESSION_KEY, {}).get("id")
    mine = Authenticator.objects.filter(user_id=request.user.pk)
    return bool(mine.filter(pk=noted).exists())


def factors_remove(*, user: AbstractBaseUser) -> None:
    """Remove all of a user's second factors; sessions that came in by one lose their rights."""
    Authenticator.objects.filter(user=user).delete()


def on_factor_used(request: HttpRequest, authenticator: Authenticator, **_: Any) -> None:
    """Note by what the session came in, or proved itself again."""
    _note(request, authenticator)


def on_factor_added(
    request: HttpRequest, user: AbstractBaseUser, authenticator: Authenticator, **_: Any
) -> None:
    """Let the session that set up the first factor count as one that came in by it.

    The user's other sessions end: they came in by a password alone. A further factor changes
    nothing, so that a password alone never earns a session more rights.
    """
    if authenticator.type == Authenticator.Type.RECOVERY_CODES:
        return
    others = Authenticator.objects.filter(user=user).exclude(pk=authenticator.pk)
    if not others.exclude(type=Authenticator.Type.RECOVERY_CODES).exists():
        _note(request, authenticator)
        sessions = UserSession.objects.filter(user=user)
        own_key = request.session.session_key
        get_sessions_adapter().end_sessions(sessions.exclude(session_key=own_key))


def on_codes_replaced(request: HttpRequest, authenticator: Authenticator, **_: Any) -> None:
    """Carry a session that came in by an old recovery code over to the new ones."""
    if request.session.get(SESSION_KEY, {}).get("type") == authenticator.type:
        _note(request, authenticator)


def _note(request: HttpRequest, authenticator: Authenticator) -> None:
    request.session[SESSION_KEY] = {"id": authenticator.pk, "type": authenticator.type}
