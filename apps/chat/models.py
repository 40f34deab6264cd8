"""Conversations and their messages; what people and models wrote is encrypted at rest."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from apps.chat.cutting import CutBy
from apps.chat.fields import EncryptedTextField


class Conversation(models.Model):
    """A row of questions and answers, of one registered user or of one visitor."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE
    )
    visitor_key = models.CharField(max_length=64, blank=True, default="")
    title = EncryptedTextField()
    draft = EncryptedTextField(
        blank=True, default="", help_text="A question that was refused and not asked again yet."
    )
    created = models.DateTimeField(auto_now_add=True, db_index=True)
    updated = models.DateTimeField(auto_now=True)

    class Meta:
        """The newest first; nobody's conversation does not exist."""

        ordering = ["-updated"]
        indexes = [models.Index(fields=["owner", "-updated"], name="chat_owner_updated")]
        constraints = [
            models.CheckConstraint(
                condition=Q(owner__isnull=False) ^ ~Q(visitor_key=""),
                name="chat_conversation_is_somebodys",
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class Message(models.Model):
    """One question or one answer; `number` counts from 0 within the conversation."""

    class Role(models.TextChoices):
        """Who speaks."""

        USER = "user"
        ASSISTANT = "assistant"

    class State(models.TextChoices):
        """An answer's state; a question is complete."""

        RUNNING = "running"
        COMPLETE = "complete"
        STOPPED = "stopped"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="messages"
    )
    number = models.PositiveIntegerField()
    role = models.CharField(max_length=16, choices=Role.choices)
    content = EncryptedTextField()
    state = models.CharField(max_length=16, choices=State.choices, default=State.COMPLETE)
    job_id = models.CharField(max_length=64, blank=True, default="")
    earlier_job_ids = models.TextField(
        blank=True, default="", help_text="The jobs that it was continued from, oldest first."
    )
    instance_name = models.CharField(max_length=64, blank=True, default="")
    model_name = models.CharField(max_length=128, blank=True, default="")
    model_label = models.CharField(
        max_length=384, blank=True, default="", help_text="What its reader saw the model called."
    )
    attempts = models.PositiveIntegerField(default=0)
    cut_by = models.CharField(
        max_length=16,
        blank=True,
        default="",
        db_default="",
        choices=[(one.value, one.value) for one in CutBy],
        help_text="The limit of tokens at which it ended; empty for one that was finished.",
    )
    error_code = models.CharField(max_length=64, blank=True, default="")
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        """In the order in which they were said."""

        ordering = ["conversation", "number"]
        constraints = [
            models.UniqueConstraint(
                fields=["conversation", "number"], name="chat_message_number_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.id}"
