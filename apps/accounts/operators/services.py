"""Applications and invitations to run instances: made, decided, accepted, withdrawn."""

from datetime import datetime, timedelta

from django.core.signing import BadSignature, Signer
from django.db import IntegrityError, transaction

from apps.accounts import roles, selectors
from apps.accounts.conf import CONF
from apps.accounts.errors import (
    AlreadyOperatorError,
    ApplicationDecidedError,
    ApplicationOpenError,
    InvitationForeignError,
    InvitationInvalidError,
)
from apps.accounts.models import OperatorApplication, OperatorInvitation, User

_State = OperatorApplication.State
_SALT = "apps.accounts.operators.invitation"


def application_make(*, user: User, what: str, why: str) -> OperatorApplication:
    """Ask to become an operator. Raises AlreadyOperatorError, ApplicationOpenError."""
    if user.is_operator:
        raise AlreadyOperatorError(user.email)
    try:
        with transaction.atomic():
            return OperatorApplication.objects.create(user=user, what=what, why=why)
    except IntegrityError as error:
        raise ApplicationOpenError from error


@transaction.atomic
def application_approve(
    *, application_id: int, by: User, now: datetime, word: str = ""
) -> OperatorApplication:
    """Make the applicant an operator. Raises ApplicationDecidedError."""
    application = _decide(application_id, _State.APPROVED, by, now, word)
    roles.role_grant_operator(user=application.user)
    return application


@transaction.atomic
def application_refuse(
    *, application_id: int, by: User, now: datetime, word: str
) -> OperatorApplication:
    """Refuse an application, with a word to the applicant. Raises ApplicationDecidedError."""
    return _decide(application_id, _State.REFUSED, by, now, word)


def invitation_make(*, email: str, by: User) -> OperatorInvitation:
    """Invite whoever has an address. Raises AlreadyOperatorError."""
    invited = selectors.user_by_email(email=email)
    if invited is not None and invited.is_operator:
        raise AlreadyOperatorError(invited.email)
    return OperatorInvitation.objects.create(email=email.lower(), invited_by=by)


def invitation_token(*, invitation: OperatorInvitation) -> str:
    """Return what the link in the mail carries: the invitation's number, signed."""
    return Signer(salt=_SALT).sign(str(invitation.pk))


def invitation_of_token(*, token: str, now: datetime) -> OperatorInvitation:
    """Return the invitation of a link that is still open. Raises InvitationInvalidError."""
    try:
        number = int(Signer(salt=_SALT).unsign(token))
    except (BadSignature, ValueError) as error:
        raise InvitationInvalidError from error
    invitation = OperatorInvitation.objects.filter(pk=number).first()
    if invitation is None or invitation.state_at(now) != "open":
        raise InvitationInvalidError
    return invitation


@transaction.atomic
def invitation_accept(*, token: str, user: User, now: datetime) -> OperatorInvitation:
    """Make a user an operator whose verified address was invited.

    Raises InvitationInvalidError, InvitationForeignError.
    """
    invitation = invitation_of_token(token=token, now=now)
    if invitation.email not in selectors.addresses_verified_of(user_id=user.pk):
        raise InvitationForeignError
    mine = OperatorInvitation.objects.filter(pk=invitation.pk, accepted_at=None, withdrawn_at=None)
    if not mine.update(accepted_at=now):
        raise InvitationInvalidError
    roles.role_grant_operator(user=user)
    waiting = OperatorApplication.objects.filter(user=user, state=_State.WAITING)
    waiting.update(state=_State.APPROVED, decided_at=now, decided_by=invitation.invited_by)
    return invitation


def invitation_withdraw(*, invitation_id: int, now: datetime) -> bool:
    """Take an open invitation back. False: there was nothing to take back."""
    mine = OperatorInvitation.objects.filter(pk=invitation_id, accepted_at=None, withdrawn_at=None)
    return mine.update(withdrawn_at=now) > 0


def invitations_forget_old(*, now: datetime) -> int:
    """Delete invitations that nobody accepted, long after their end; return how many."""
    oldest = now - timedelta(days=CONF.invitation_kept_days)
    gone, _ = OperatorInvitation.objects.filter(accepted_at=None, created_at__lt=oldest).delete()
    return gone


def _decide(
    application_id: int, state: OperatorApplication.State, by: User, now: datetime, word: str
) -> OperatorApplication:
    waiting = OperatorApplication.objects.filter(pk=application_id, state=_State.WAITING)
    if not waiting.update(state=state, decided_by=by, decided_at=now, word=word.strip()):
        raise ApplicationDecidedError
    return OperatorApplication.objects.select_related("user").get(pk=application_id)
