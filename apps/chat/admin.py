"""Conversations on the superadmin's site: that they exist, never what they say."""

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from apps.chat.models import Conversation, Message


class MetadataAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for mypy alone
    """Shows rows without their texts, for reading alone."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody writes a conversation here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody changes one either."""
        return False


@admin.register(Conversation)
class ConversationAdmin(MetadataAdmin):
    """Whose a conversation is, and when."""

    fields = ["id", "owner", "visitor_key", "created", "updated"]
    list_display = ["id", "owner", "visitor_key", "created", "updated"]
    list_select_related = ["owner"]
    date_hierarchy = "created"


@admin.register(Message)
class MessageAdmin(MetadataAdmin):
    """How an answer went."""

    fields = [
        "id",
        "conversation",
        "role",
        "state",
        "job_id",
        "instance_name",
        "model_name",
        "attempts",
        "error_code",
        "created",
    ]
    list_display = ["id", "role", "state", "instance_name", "model_name", "attempts", "created"]
    list_filter = ["role", "state", "instance_name", "error_code"]
