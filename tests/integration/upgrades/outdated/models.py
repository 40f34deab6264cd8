"""A table whose migrations are told from each other by the rules."""

from django.db import models


class Note(models.Model):
    """What is left after all of the migrations."""

    kind = models.TextField(db_default="plain")
    size = models.IntegerField(default=0)

    class Meta:
        """The app has no name of its own elsewhere."""

        app_label = "outdated"

    def __str__(self) -> str:
        """Return its kind."""
        return self.kind
