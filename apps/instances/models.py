"""Operators' credentials, and the record of the instances that connected with them."""

from datetime import datetime

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from motherfluxer_wire.tokens import INSTANCE_PREFIX

# No leading "mfi_": revoke_credential takes a name or such a prefix.
name_validator = RegexValidator(
    rf"^(?!{INSTANCE_PREFIX}_)[^\s\x00-\x1f\x7f](?:[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$",
    f"A name is one line without spaces at its ends, and does not begin with {INSTANCE_PREFIX}_.",
)


class Credential(models.Model):
    """What an instance shows to be let in. The secret is shown once; its digest stays."""

    name = models.CharField(max_length=64, validators=[name_validator])
    operator = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="credentials"
    )
    token_id = models.CharField(max_length=12, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    allowed_models = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField("expires", null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_address = models.CharField(max_length=64, blank=True, editable=False)

    class Meta:
        """A name is free again once its credential is revoked: so rotation can keep it."""

        ordering = ("-created_at", "-id")
        constraints = [
            models.UniqueConstraint(
                fields=("operator", "name"),
                condition=Q(revoked_at__isnull=True),
                name="instances_credential_name_of_operator",
            ),
            models.CheckConstraint(condition=~Q(digest=""), name="instances_credential_has_digest"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix})"

    @property
    def prefix(self) -> str:
        """The part that may be shown."""
        return f"{INSTANCE_PREFIX}_{self.token_id}"

    def state_at(self, now: datetime) -> str:
        """Tell "revoked", "expired" or "valid"."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return "valid"


class KnownInstance(models.Model):
    """An instance that has been connected at least once, as it last introduced itself."""

    credential = models.ForeignKey(Credential, on_delete=models.CASCADE, related_name="instances")
    name = models.CharField(max_length=64)
    agent = models.CharField(max_length=256)
    served_models = models.JSONField("models", default=list)
    slots = models.PositiveIntegerField()
    region = models.CharField(max_length=256, blank=True)
    hardware = models.JSONField(null=True, blank=True)
    first_seen = models.DateTimeField(default=timezone.now)
    last_seen = models.DateTimeField(default=timezone.now)
    is_connected = models.BooleanField(default=False)

    class Meta:
        """One record a credential and name."""

        ordering = ("name", "id")
        constraints = [
            models.UniqueConstraint(
                fields=("credential", "name"), name="instances_knowninstance_name_of_credential"
            ),
        ]

    def __str__(self) -> str:
        return self.name
