"""Housekeeping of the chat."""

from celery import shared_task

from apps.chat.services import demo_conversations_delete_old


@shared_task(name="chat.delete_old_demo_conversations")  # type: ignore[untyped-decorator]  # celery is untyped
def delete_old_demo_conversations() -> None:
    """Delete visitors' conversations past their retention."""
    demo_conversations_delete_old()
