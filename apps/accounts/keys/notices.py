"""Mails to a key's owner: that there is a new secret, and that a key will soon be refused."""

import logging
from datetime import datetime, timedelta

from allauth.account.adapter import get_adapter
from django.conf import settings

from apps.accounts.conf import CONF
from apps.accounts.keys import selectors, services
from apps.accounts.keys.models import ApiKey

log = logging.getLogger(__name__)


def api_key_made_tell(*, key: ApiKey, is_rotated: bool = False) -> None:
    """Tell the owner that a key was made or rotated, and from where. Needs a request's context."""
    about = {"key": key, "is_rotated": is_rotated}
    get_adapter().send_notification_mail("accounts/email/api_key_made", key.user, about)


def api_keys_expiring_tell(*, now: datetime) -> int:
    """Tell the owners of keys whose last days have come, once a key; return how many keys."""
    soon = now + timedelta(days=CONF.api_key_expires_soon_days)
    expiring = selectors.api_keys_expiring(now=now, until=soon)
    return sum(_expiry_tell(key, now) for key in expiring)


def _expiry_tell(key: ApiKey, now: datetime) -> bool:
    """Tell one owner, unless another process does; where no mail goes out, the next round tries."""
    if not services.api_key_expiry_claim(key=key, now=now):
        return False
    about = {"key": key, "keys_url": f"{_users_site()}/keys/"}
    try:
        get_adapter().render_mail("accounts/email/api_key_expires", key.user.email, about).send()
    except OSError:  # smtplib's errors are of this kind too
        log.exception("the owner of a key that expires soon could not be told")
        services.api_key_expiry_release(key=key)
        return False
    return True


def _users_site() -> str:
    """Return the address of the users' site, where no request tells it."""
    scheme, domain = settings.ACCOUNT_DEFAULT_HTTP_PROTOCOL, settings.MOTHERFLUXER_DOMAIN
    port = "" if scheme == "https" else f":{settings.MOTHERFLUXER_PORT}"
    return f"{scheme}://user.{domain}{port}"
