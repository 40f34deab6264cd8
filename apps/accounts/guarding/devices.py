"""Browsers that an account was signed in with before, known again by a signed cookie.

Their guesses are counted by themselves: whoever guesses elsewhere cannot lock the owner out of a
browser that the owner has used.
"""

import secrets
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.signing import BadSignature
from django.http import HttpRequest, HttpResponseBase
from django.utils.crypto import salted_hmac

COOKIE = "mf-device"
_SALT = "apps.accounts.guarding.device"
_KEPT_S = 180 * 24 * 3600
_ACCOUNTS_COUNT = 5
_NONCE_BYTES = 9


def account_digest(address: str) -> str:
    """Return what stands for an e-mail address in counters and cookies: a keyed digest."""
    text = address.strip().lower()
    return salted_hmac("apps.accounts.guarding", text, algorithm="sha256").hexdigest()[:32]


def device_of(request: HttpRequest, digest: str) -> str | None:
    """Return this browser's own name for an account, or None for one never signed in here."""
    return _known(request).get(digest)


def device_remember(
    request: HttpRequest, response: HttpResponseBase, digests: Iterable[str]
) -> None:
    """Let this browser be known again for the accounts with these digests."""
    known = _known(request)
    for digest in digests:
        known.pop(digest, None)
        known[digest] = secrets.token_urlsafe(_NONCE_BYTES)
    latest = dict(list(known.items())[-_ACCOUNTS_COUNT:])
    value = "~".join(f"{digest}.{nonce}" for digest, nonce in latest.items())
    response.set_signed_cookie(
        COOKIE,
        value,
        salt=_SALT,
        max_age=_KEPT_S,
        httponly=True,
        samesite="Lax",
        secure=settings.SESSION_COOKIE_SECURE,
    )


def _known(request: HttpRequest) -> dict[str, str]:
    try:
        value: Any = request.get_signed_cookie(COOKIE, salt=_SALT, max_age=_KEPT_S)
    except (KeyError, BadSignature):
        return {}
    return dict(part.split(".", 1) for part in str(value).split("~") if "." in part)
