"""Housekeeping."""

from celery import shared_task
from django.conf import settings
from django.core.management import call_command

from apps.operations.backups.services import backup_make, backups_remove_old


@shared_task(name="operations.clear_expired_sessions")  # type: ignore[untyped-decorator]  # no types
def clear_expired_sessions() -> None:
    """Delete the sessions that nobody can use any more."""
    call_command("clearsessions")


@shared_task(name="operations.back_up")  # type: ignore[untyped-decorator]  # no types
def back_up() -> None:
    """Make a backup in `settings.BACKUP_DIR` and remove those that are past their time."""
    if settings.BACKUP_DIR is not None:
        backup_make(folder=settings.BACKUP_DIR)
        backups_remove_old(folder=settings.BACKUP_DIR, kept_days=settings.BACKUP_KEPT_DAYS)
