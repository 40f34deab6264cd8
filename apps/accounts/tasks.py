"""Housekeeping of accounts."""

from celery import shared_task
from django.utils import timezone

from apps.accounts.leaving.services import accounts_delete_due


@shared_task(name="accounts.delete_due")  # type: ignore[untyped-decorator]  # celery is untyped
def delete_due() -> None:
    """Delete the accounts whose grace is over."""
    accounts_delete_due(now=timezone.now())
