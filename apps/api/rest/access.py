"""Who may use `/api/`: somebody signed in, or an API key that may manage."""

from typing import Any

from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request

from apps.router import ports
from apps.router.errors import ErrorCode
from apps.router.ports import Caller

CHALLENGE = 'Bearer realm="MotherFluxer"'


class KeyAuthentication(BaseAuthentication):
    """By `Authorization: Bearer mf_…`; `request.auth` is the Caller then."""

    def authenticate(self, request: Request) -> tuple[Any, Caller] | None:
        """Tell whose key the request bears; None where it bears none."""
        scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        gate = ports.caller_gate.get_or_none()
        address = request.META.get("REMOTE_ADDR") or ""
        identify = None if gate is None else async_to_sync(gate.identify)
        caller = identify and identify(token.strip(), address=address)
        users = get_user_model()._default_manager
        user = caller and users.filter(pk=caller.user_id, is_active=True).first()
        if caller is None or user is None:
            raise AuthenticationFailed("The API key is not known, has expired or was revoked.")
        return user, caller

    def authenticate_header(self, request: Request) -> str:
        """Return what a 401 says is wanted."""
        return CHALLENGE


class CheckedSessionAuthentication(SessionAuthentication):
    """By the session of the site, with the CSRF token in its header."""

    def enforce_csrf(self, request: Request) -> None:
        """Refuse a request that another site's page may have made."""
        try:
            super().enforce_csrf(request)
        except PermissionDenied as refused:
            raise PermissionDenied(str(refused.detail), code=ErrorCode.CSRF_FAILED) from refused


class MayManage(IsAuthenticated):
    """Lets in who is signed in, and keys that may manage."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Refuse keys that are good for `/v1` alone."""
        if not super().has_permission(request, view):
            return False
        if isinstance(request.auth, Caller) and not request.auth.may_manage:
            words = "This API key is good for /v1 alone: it may not manage."
            raise PermissionDenied(words, code=ErrorCode.KEY_MAY_NOT_MANAGE)
        if not getattr(request.user, "may_act", True):
            raise PermissionDenied("This account is to be deleted: nothing can be done with it.")
        return True
