"""The table of what API keys used."""

from django.db import models

from apps.accounts.keys.models import ApiKey


class KeyUsage(models.Model):
    """What one key used of one model on one day (UTC)."""

    api_key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="usage")
    day = models.DateField()
    model_name = models.CharField(max_length=200)
    requests = models.PositiveBigIntegerField(default=0)
    prompt_tokens = models.PositiveBigIntegerField(default=0)
    completion_tokens = models.PositiveBigIntegerField(default=0)

    class Meta:
        """One row a key, day and model, to which every process adds."""

        ordering = ("day", "model_name", "id")
        verbose_name_plural = "key usage"
        constraints = [
            models.UniqueConstraint(
                fields=("api_key", "day", "model_name"), name="accounts_keyusage_one_row"
            ),
        ]
        indexes = [models.Index(fields=("day",), name="accounts_keyusage_day")]

    def __str__(self) -> str:
        return f"{self.api_key_id} {self.day} {self.model_name}"
