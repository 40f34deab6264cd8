"""Housekeeping."""

from celery import shared_task
from django.core.management import call_command


@shared_task(name="operations.clear_expired_sessions")  # type: ignore[untyped-decorator]  # no types
def clear_expired_sessions() -> None:
    """Delete the sessions that nobody can use any more."""
    call_command("clearsessions")
