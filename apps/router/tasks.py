"""Housekeeping of the router's records."""

from celery import shared_task
from django.utils import timezone

from apps.router.records import services


@shared_task(name="router.remove_old_decisions")  # type: ignore[untyped-decorator]  # celery is untyped
def remove_old_decisions() -> None:
    """Remove the decision log's entries past their time."""
    services.log_remove_old(now=timezone.now())
