"""Asks for the deletion of an account, takes that back, and deletes it for good when it is due."""

import logging
from contextlib import suppress
from datetime import datetime, timedelta

from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Q

from apps.accounts.background import in_background
from apps.accounts.conf import CONF
from apps.accounts.errors import LastSuperadminError
from apps.accounts.leaving.admin_log import log_entries_forget
from apps.accounts.leaving.data import APP
from apps.accounts.leaving.sessions import sessions_end
from apps.accounts.models import User
from apps.accounts.selectors import addresses_of
from apps.router import ports
from apps.router.services import jobs_cancel

logger = logging.getLogger(__name__)


def deletion_ask(*, user: User, now: datetime, session_key: str | None = None) -> datetime:
    """Stop an account at once, and have it deleted after the days of grace; return when.

    Its keys and credentials open nothing from now on, its answers stop, and of its sessions only
    the one named stays. Asked again, the first date holds. Raises LastSuperadminError.
    """
    with transaction.atomic():
        _check_not_the_last(user)
        due = now + timedelta(days=CONF.deletion_grace_days)
        get_user_model().objects.filter(pk=user.pk, deletion_at=None).update(deletion_at=due)
    user.refresh_from_db(fields=["deletion_at"])
    answers_stop(user_id=user.pk)
    # Nothing can be done with them any more; to find them takes a while where there are many.
    in_background(lambda: sessions_end(user_id=user.pk, but=session_key))
    logger.info("account deletion asked", extra={"user_id": user.pk})
    return user.deletion_at or due


def deletion_withdraw(*, user: User) -> bool:
    """Keep the account after all; all that stopped works again. False: nothing was asked."""
    asked = get_user_model().objects.filter(pk=user.pk).exclude(deletion_at=None)
    is_kept = asked.update(deletion_at=None) > 0
    user.refresh_from_db(fields=["deletion_at"])
    return is_kept


def accounts_delete_due(*, now: datetime) -> int:
    """Delete the accounts whose grace is over, or whose sign-up was never finished; count them."""
    left_over = Q(unfinished_since__lte=now - timedelta(seconds=CONF.unverified_kept_s))
    due = Q(deletion_at__lte=now) | left_over
    numbers = list(get_user_model().objects.filter(due).values_list("pk", flat=True))
    return sum(_deleted(user_id, due) for user_id in numbers)


def stand_ins_delete() -> None:
    """Delete the accounts that stand for nobody; there is nothing of them anywhere else."""
    get_user_model().objects.filter(email__endswith=CONF.stand_in_domain).delete()


def account_delete(*, user_id: int, only_if: Q | None = None) -> bool:
    """Delete an account and all that any app keeps of its user, in one transaction.

    `only_if`: what must still hold of the user then. False: it did not, or there is no such user.
    """
    answers_stop(user_id=user_id)
    with transaction.atomic():
        mine = get_user_model().objects.filter(only_if or Q(), pk=user_id)
        if mine.select_for_update().first() is None:
            return False
        # First of all: what the record names is found by the rows that it is about.
        log_entries_forget(user_id=user_id, addresses=addresses_of(user_id=user_id))
        held = ports.account_data.all()
        own = held.pop(APP)
        for data in held.values():
            data.delete(user_id)
        own.delete(user_id)
    logger.info("account deleted", extra={"user_id": user_id})
    return True


def _deleted(user_id: int, due: Q) -> bool:
    try:
        return account_delete(user_id=user_id, only_if=due)
    except Exception:  # the rim of a task: the others are not to wait for this one
        logger.exception("An account could not be deleted.", extra={"user_id": user_id})
        return False


def answers_stop(*, user_id: int) -> None:
    """Stop a user's running answers, where this process has the live router."""

    async def stop() -> None:
        jobs_cancel(requester=f"user:{user_id}", reason="The account is being deleted.")

    with suppress(RuntimeError):  # a process without the live router: none of them runs here
        async_to_sync(stop)()


def _check_not_the_last(user: User) -> None:
    superadmins = get_user_model().objects.filter(
        is_superuser=True, is_active=True, deletion_at=None
    )
    # All of them locked in one order, so that the last two cannot leave at the same moment.
    numbers = set(superadmins.select_for_update().order_by("pk").values_list("pk", flat=True))
    if numbers == {user.pk}:
        raise LastSuperadminError
