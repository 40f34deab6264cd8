"""Sign-ups with a known address, answered afterwards as if an account had been made.

Else somebody could sign up with an address and then sign in with the same password: where the
address was unknown before, that leads to the page that asks for the code in the mail; where it was
known, it would be a wrong password.

What is remembered of the password is 16 bits of a keyed digest: enough to tell it from another one
typed by chance, nothing to find it by. It is forgotten when an account that was never verified is.
"""

from django.core.cache import cache
from django.utils.crypto import salted_hmac

from apps.accounts.conf import CONF
from apps.accounts.guarding.devices import account_digest

_SALT = "apps.accounts.guarding.shadow"
_DIGITS = 4


def shadow_remember(*, address: str, password: str) -> None:
    """Remember that somebody signed up with a known address and this password."""
    cache.set(_key(address, password), True, timeout=CONF.unverified_kept_s)


def is_shadow(*, address: str, password: str) -> bool:
    """Whether somebody did."""
    return bool(cache.get(_key(address, password)))


def _key(address: str, password: str) -> str:
    own = salted_hmac(_SALT, f"{account_digest(address)}:{password}", algorithm="sha256")
    return f"shadow:{account_digest(address)}:{own.hexdigest()[:_DIGITS]}"
