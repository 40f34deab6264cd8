"""How users become operators: applications of their own, and invitations by address."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from apps.accounts.conf import CONF


class OperatorApplication(models.Model):
    """A user asks to run instances; a superadmin decides."""

    class State(models.TextChoices):
        """Where it stands; decided once."""

        WAITING = "waiting"
        APPROVED = "approved"
        REFUSED = "refused"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="operator_applications"
    )
    what = models.TextField("what will be run", max_length=CONF.application_chars)
    why = models.TextField("why", max_length=CONF.application_chars)
    state = models.CharField(max_length=16, choices=State.choices, default=State.WAITING)
    word = models.TextField(
        "word to the applicant", max_length=CONF.application_chars, blank=True, default=""
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    decided_at = models.DateTimeField(null=True, blank=True, editable=False)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        """The newest first; one at a time waits for a user."""

        app_label = "accounts"
        ordering = ("-created_at", "-id")
        constraints = [
            models.UniqueConstraint(
                fields=("user",),
                condition=Q(state="waiting"),
                name="accounts_application_one_waiting",
            ),
        ]

    def __str__(self) -> str:
        return f"application of {self.user}"


class OperatorInvitation(models.Model):
    """A superadmin invites whoever has an address; the mail carries a signed link."""

    email = models.EmailField(max_length=254)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    invited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    accepted_at = models.DateTimeField(null=True, blank=True, editable=False)
    withdrawn_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        """The newest first."""

        app_label = "accounts"
        ordering = ("-created_at", "-id")

    def __str__(self) -> str:
        return f"invitation to {self.email}"

    @property
    def expires_at(self) -> datetime:
        """When the link opens nothing any more."""
        return self.created_at + timedelta(days=CONF.invitation_days)

    def state_at(self, now: datetime) -> str:
        """Tell "accepted", "withdrawn", "expired" or "open"."""
        if self.accepted_at is not None:
            return "accepted"
        if self.withdrawn_at is not None:
            return "withdrawn"
        return "expired" if now >= self.expires_at else "open"
