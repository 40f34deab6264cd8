"""People with accounts, and how they come in."""

import re
from typing import Any

from allauth.account.models import EmailAddress
from django.core import mail

from apps.accounts.models import User
from tests.clients import SiteClient
from tests.mail import code_in
from tests.signing_in import totp_code

PASSWORD = "correct horse battery"
ADDRESS = "reader@example.org"
ACTIVATE = "/accounts/2fa/totp/activate/"


def make_person(email: str = ADDRESS, **fields: Any) -> User:
    """Make an account whose address is verified."""
    user = User.objects.create_user(email, PASSWORD, **fields)
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


def sign_in(site: str = "user", email: str = ADDRESS, **headers: str) -> SiteClient:
    """Sign in by password."""
    client = SiteClient(site)
    form = {"login": email, "password": PASSWORD}
    client.post("/accounts/login/", form, headers=headers or None)
    return client


def sign_up(client: SiteClient, email: str = ADDRESS, query: str = "") -> Any:
    """Send the sign-up form; return the page that it leads to."""
    form = {"email": email, "password1": PASSWORD, "password2": PASSWORD}
    return client.post(f"/accounts/signup/{query}", form, follow=True)


def set_up_app(client: SiteClient) -> list[str]:
    """Set up an authenticator app; return the recovery codes."""
    page = client.get(ACTIVATE).content.decode()
    secret = re.search(r'id="totp-secret">([A-Z2-7]+)<', page)
    assert secret, page
    done = client.post(ACTIVATE, {"code": totp_code(secret[1])}, follow=True)
    return re.findall(r"<li><code>(\d{8})</code>", done.content.decode())


def newest_code() -> str:
    """Return the code in the newest mail."""
    return code_in(str(mail.outbox[-1].body))
