"""A test client that speaks to one of the four sites by host, with that site's own cookies."""

from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client

from apps.accounts.factors import SESSION_KEY as SESSION_KEY_OF_FACTOR
from motherfluxer import entrance
from motherfluxer.hosts import cookie_name


def factor_of(user: Any) -> dict[str, Any]:
    """Return what a session notes that came in by the user's authenticator app, made if need be."""
    app = Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).first()
    app = app or TOTP.activate(user, generate_totp_secret()).instance
    return {"id": app.pk, "type": str(app.type)}


class SiteClient(Client):
    """Django's test client at one site: "user", "admin", "superadmin" or "" (public)."""

    def __init__(self, site: str, **defaults: Any) -> None:
        domain = settings.MOTHERFLUXER_DOMAIN
        super().__init__(headers={"host": f"{site}.{domain}" if site else domain}, **defaults)
        self._is_closed = site in entrance.ROLES
        self.cookie = cookie_name(settings.SESSION_COOKIE_NAME, site, is_secure=False)

    def force_login(
        self, user: Any, backend: str | None = None, *, has_factor: bool | None = None
    ) -> None:
        """Sign a user in without a password; the cookie gets this site's name.

        On the two sites that ask for a second factor it is as if by one, unless told otherwise.
        """
        super().force_login(user, backend or settings.AUTHENTICATION_BACKENDS[0])
        if self._is_closed if has_factor is None else has_factor:
            session = self.session
            session[SESSION_KEY_OF_FACTOR] = factor_of(user)
            session.save()
        self.cookies[self.cookie] = self.cookies.pop(settings.SESSION_COOKIE_NAME).value

    @property
    def is_signed_in(self) -> bool:
        """Whether the site knows who this is."""
        cookie = self.cookies.get(self.cookie)
        return cookie is not None and SESSION_KEY in SessionStore(cookie.value)
