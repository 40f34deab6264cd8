"""A test client that speaks to one of the four sites by host, with that site's own cookies."""

from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client

from motherfluxer.hosts import cookie_name


class SiteClient(Client):
    """Django's test client at one site: "user", "admin", "superadmin" or "" (public)."""

    def __init__(self, site: str, **defaults: Any) -> None:
        domain = settings.MOTHERFLUXER_DOMAIN
        super().__init__(headers={"host": f"{site}.{domain}" if site else domain}, **defaults)
        self._cookie = cookie_name(settings.SESSION_COOKIE_NAME, site, is_secure=False)

    def force_login(self, user: Any, backend: str | None = None) -> None:
        """Sign a user in without a password; the cookie gets this site's name."""
        super().force_login(user, backend or settings.AUTHENTICATION_BACKENDS[0])
        self.cookies[self._cookie] = self.cookies.pop(settings.SESSION_COOKIE_NAME).value

    @property
    def is_signed_in(self) -> bool:
        """Whether the site knows who this is."""
        cookie = self.cookies.get(self._cookie)
        return cookie is not None and SESSION_KEY in SessionStore(cookie.value)
