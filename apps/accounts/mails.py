"""The site's own mails beside allauth's: text and HTML, in the same look."""

from collections.abc import Mapping
from typing import Any

from allauth.account.adapter import get_adapter


def mail_send(*, name: str, to: str, about: Mapping[str, Any]) -> None:
    """Send the mail of that name from `templates/accounts/email/`."""
    get_adapter().send_mail(f"accounts/email/{name}", to, dict(about))
