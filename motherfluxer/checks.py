"""Deploy checks of what Django's own do not know: the proxy, the hosts, the keys."""

from typing import Any, Final

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

_LEAST_TOKEN_CHARS: Final = 16


@register(Tags.security, deploy=True)
def check_proxies(**_: Any) -> list[CheckMessage]:
    """Find a site behind TLS that believes no proxy."""
    if settings.TRUSTED_PROXIES or not settings.SECURE_SSL_REDIRECT:
        return []
    words = "TRUSTED_PROXIES is not set, though TLS ends at a proxy."
    hint = "Name it: else every page redirects to itself, and all visitors share its address."
    return [Warning(words, hint=hint, id="motherfluxer.W001")]


@register(Tags.security, deploy=True)
def check_hosts(**_: Any) -> list[CheckMessage]:
    """Find hosts that are none of the four sites."""
    domain = settings.MOTHERFLUXER_DOMAIN
    named = {f"{name}.{domain}".removeprefix(".") for name in settings.SITE_URLCONFS}
    others = sorted(set(settings.ALLOWED_HOSTS) - named)
    if not others:
        return []
    words = f"ALLOWED_HOSTS holds more than the four sites: {', '.join(others)}."
    hint = "Links in mails and pages are made from the host; let the settings name the four only."
    return [Error(words, hint=hint, id="motherfluxer.E001")]


@register(Tags.security, deploy=True)
def check_keys(**_: Any) -> list[CheckMessage]:
    """Find keys that do not encrypt, and a token that can be guessed."""
    found: list[CheckMessage] = []
    if not all(_is_key(key) for key in settings.FIELD_ENCRYPTION_KEYS):
        words = "FIELD_ENCRYPTION_KEYS holds something that is no key."
        hint = "Each is made by cryptography.fernet.Fernet.generate_key()."
        found.append(Error(words, hint=hint, id="motherfluxer.E002"))
    token = settings.METRICS_TOKEN
    if token and len(token) < _LEAST_TOKEN_CHARS:
        words = f"METRICS_TOKEN is shorter than {_LEAST_TOKEN_CHARS} characters."
        found.append(Warning(words, hint="Draw a longer one.", id="motherfluxer.W002"))
    return found


def _is_key(key: str) -> bool:
    try:
        Fernet(key)
    except ValueError:
        return False
    return True
