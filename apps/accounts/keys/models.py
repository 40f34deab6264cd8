"""The table of API keys."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from apps.accounts.conf import CONF
from motherfluxer_wire.tokens import API_KEY_PREFIX, Token


class ApiKey(models.Model):
    """A user's key for the API. The secret is shown once; its digest stays.

    `allowed_models` None: any. `requests_per_minute` None: the site's figure. `may_manage`: the key
    also opens `/api/`. Once the secret is rotated, the one before is good until `previous_until`.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys"
    )
    name = models.CharField(max_length=64)
    token_id = models.CharField(max_length=12, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    previous_digest = models.CharField(max_length=64, blank=True, editable=False)
    previous_until = models.DateTimeField(null=True, blank=True, editable=False)
    allowed_models = models.JSONField("models", null=True, blank=True)
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    may_manage = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField("expires", null=True, blank=True)
    expiry_told_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    rotated_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_address = models.CharField(max_length=64, blank=True, editable=False)

    class Meta:
        """Newest first. A name may be there twice: it is for people alone."""

        ordering = ("-created_at", "-id")
        verbose_name = "API key"
        constraints = [
            models.CheckConstraint(condition=~Q(digest=""), name="accounts_apikey_has_digest"),
            models.CheckConstraint(
                condition=Q(requests_per_minute=None) | Q(requests_per_minute__gt=0),
                name="accounts_apikey_some_requests",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix})"

    @property
    def prefix(self) -> str:
        """The part that may be shown; it stays when the secret is rotated."""
        return f"{API_KEY_PREFIX}_{self.token_id}"

    @property
    def rotation_mark(self) -> str:
        """Tells one secret of this key from the next, without a hint at either."""
        return self.rotated_at.isoformat() if self.rotated_at else "never"

    def state_at(self, now: datetime) -> str:
        """Tell "revoked", "expired" or "valid"."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return "valid"

    def expires_soon_at(self, now: datetime) -> bool:
        """Whether the key's last days have come."""
        soon = now + timedelta(days=CONF.api_key_expires_soon_days)
        return (
            self.state_at(now) == "valid"
            and self.expires_at is not None
            and self.expires_at <= soon
        )

    def opens_for(self, presented: Token, now: datetime) -> bool:
        """Whether somebody who presents this token is let in now. Reads the user."""
        is_current = presented.matches(self.digest)
        is_previous = presented.matches(self.previous_digest or None)
        is_in_grace = self.previous_until is not None and now < self.previous_until
        is_right = is_current or (is_previous and is_in_grace)
        return is_right and self.state_at(now) == "valid" and self.user.may_act
