"""What allauth asks the project: when to ask again, what mails hold, how factors are kept."""

import time
from functools import cache
from typing import Any, cast

from allauth.account import app_settings
from allauth.account.authentication import get_authentication_records
from allauth.account.internal.flows.login import record_authentication
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from apps.accounts.core.agents import agent_words
from apps.accounts.core.mail_text import parts_of
from apps.accounts.guarding.adapter import GuardedAdapter
from apps.accounts.guarding.devices import account_digest, device_of


class AccountAdapter(GuardedAdapter):
    """Allauth's own, guarded; and a fresh sign-in counts as a password given again."""

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Ask again for the password, unless the whole sign-in was a moment ago."""
        required = super().is_reauthentication_required(app=app, **kwargs)
        return bool(required and not _signed_in_just_now(context.request))

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Let people sign up on the users' site alone."""
        return bool(cast(Any, request).sites.name == "user")

    def post_login(self, request: HttpRequest, user: Any, **about: Any) -> HttpResponse:
        """Tell the owner of a sign-in by a browser that the account is not known to use.

        Who has just signed up gave the password then: allauth notes that of a sign-in alone.
        """
        if about["signup"] and user.has_usable_password():
            record_authentication(request, user, method="password")
        is_known = device_of(request, account_digest(user.email)) is not None
        if not is_known and not about["signup"]:
            self.send_notification_mail("account/email/signed_in", user)
        response: HttpResponse = super().post_login(request, user, **about)
        return response

    def render_mail(self, template_prefix: str, *args: Any, **kwargs: Any) -> EmailMessage:
        """Write a mail; its text is the HTML as well, where there is no template for that."""
        mail: EmailMessage = super().render_mail(template_prefix, *args, **kwargs)
        if isinstance(mail, EmailMultiAlternatives) and not mail.alternatives:
            about = {"subject": mail.subject, "parts": parts_of(str(mail.body))}
            html = render_to_string("accounts/email/of_text.html", about)
            mail.attach_alternative(html, "text/html")
        return mail


def _signed_in_just_now(request: Any) -> bool:
    records = get_authentication_records(request, request.user)
    given = [record["at"] for record in records if record["method"] in ("password", "mfa")]
    return bool(given) and time.time() - max(given) < app_settings.REAUTHENTICATION_TIMEOUT


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth has no types
    """Keeps secrets encrypted; a passkey is good on all four sites."""

    def encrypt(self, text: str) -> str:
        """Encrypt with the first of `settings.FIELD_ENCRYPTION_KEYS`."""
        return _cipher(tuple(settings.FIELD_ENCRYPTION_KEYS)).encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Decrypt with whichever key fits. Raises cryptography.fernet.InvalidToken."""
        stored = encrypted_text.encode()
        return _cipher(tuple(settings.FIELD_ENCRYPTION_KEYS)).decrypt(stored).decode()

    def generate_authenticator_name(self, user: Any, type: Any) -> str:
        """Propose a name for a new key: the browser where it is made."""
        return agent_words(context.request.headers.get("user-agent", ""))

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Name the domain, so that a passkey made on one site is offered on the others."""
        return {"id": settings.MOTHERFLUXER_DOMAIN, "name": "MotherFluxer"}


@cache
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
