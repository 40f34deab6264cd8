"""The mails about becoming an operator."""

from typing import Any, cast

from django.http import HttpRequest

from apps.accounts.mails import mail_send
from apps.accounts.models import OperatorApplication, OperatorInvitation
from apps.accounts.operators.services import invitation_token
from apps.accounts.selectors import superadmins_active


def application_letters_send(*, request: HttpRequest, application: OperatorApplication) -> None:
    """Tell every superadmin that somebody waits."""
    address = f"{_sites(request).superadmin}/accounts/operatorapplication/{application.pk}/change/"
    about = {"application": application, "decide_url": address}
    for superadmin in superadmins_active():
        mail_send(name="operator_application", to=superadmin.email, about=about)


def decision_letter_send(*, request: HttpRequest, application: OperatorApplication) -> None:
    """Tell the applicant."""
    about = {"application": application, "admin_url": f"{_sites(request).admin}/"}
    mail_send(name=f"operator_{application.state}", to=application.user.email, about=about)


def invitation_letter_send(*, request: HttpRequest, invitation: OperatorInvitation) -> None:
    """Send the link."""
    # Named by hand: the superadmin's site, where this is called, has no such page.
    page = f"/account/operator/invitation/{invitation_token(invitation=invitation)}/"
    about = {"invitation": invitation, "accept_url": f"{_sites(request).user}{page}"}
    mail_send(name="operator_invitation", to=invitation.email, about=about)


def _sites(request: HttpRequest) -> Any:
    return cast(Any, request).sites
