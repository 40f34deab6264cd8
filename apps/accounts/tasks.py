"""Housekeeping of accounts."""

from celery import shared_task
from django.utils import timezone

from apps.accounts.keys.notices import api_keys_expiring_tell
from apps.accounts.keys.services import api_keys_remove_old
from apps.accounts.leaving.services import accounts_delete_due, stand_ins_delete
from apps.accounts.operators.services import invitations_forget_old
from apps.accounts.sessions import sessions_forget_ended
from apps.accounts.usage.services import usage_remove_old


@shared_task(name="accounts.delete_due")  # type: ignore[untyped-decorator]  # celery is untyped
def delete_due() -> None:
    """Delete the accounts whose grace is over, and what was begun and never finished."""
    accounts_delete_due(now=timezone.now())
    stand_ins_delete()
    invitations_forget_old(now=timezone.now())


@shared_task(name="accounts.remove_old_usage")  # type: ignore[untyped-decorator]  # celery is untyped
def remove_old_usage() -> None:
    """Remove what keys used on days past their time, then the keys that ended before those."""
    usage_remove_old(now=timezone.now())
    api_keys_remove_old(now=timezone.now())


@shared_task(name="accounts.tell_of_expiring_keys")  # type: ignore[untyped-decorator]  # untyped
def tell_of_expiring_keys() -> None:
    """Tell the owners of keys that will soon be refused."""
    api_keys_expiring_tell(now=timezone.now())


@shared_task(name="accounts.forget_ended_sessions")  # type: ignore[untyped-decorator]  # untyped
def forget_ended_sessions() -> None:
    """Forget from where people were signed in."""
    sessions_forget_ended(now=timezone.now())
