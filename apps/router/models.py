"""The public decision log: entries, each hashed with the one before, and where they stand."""

from django.db import models


class LogEntry(models.Model):
    """One entry as it is published. `body` is exactly the text that was hashed.

    The other columns repeat what the body says, for looking up; `verify_log` compares them.
    """

    sequence = models.PositiveBigIntegerField(primary_key=True)
    job_id = models.CharField(max_length=64, blank=True, default="", db_index=True)
    kind = models.CharField(max_length=16)
    made_at = models.DateTimeField(db_index=True)
    body = models.TextField()
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        """In the order in which they were written."""

        ordering = ["sequence"]
        verbose_name_plural = "log entries"

    def __str__(self) -> str:
        return f"{self.sequence} {self.kind} {self.job_id}"


class LogChain(models.Model):
    """Where the log stands: one row, locked by whoever writes.

    The last removed entry's hash is what the first kept one is verified against; the last
    written one's shows that none was cut off at the end.
    """

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY)
    removed_sequence = models.PositiveBigIntegerField(default=0)
    removed_hash = models.CharField(max_length=64)
    last_sequence = models.PositiveBigIntegerField(default=0)
    last_hash = models.CharField(max_length=64)

    class Meta:
        """There is one log."""

        constraints = [
            models.CheckConstraint(condition=models.Q(id=1), name="router_one_log_chain"),
        ]

    def __str__(self) -> str:
        return f"{self.removed_sequence + 1} to {self.last_sequence}"
