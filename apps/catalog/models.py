"""The models that people may be shown by another name, and the one that answers by default."""

from django.db import models
from django.db.models import Q


class CatalogModel(models.Model):
    """What the site says about a model that instances announce under `name`."""

    name = models.CharField(max_length=128, unique=True)
    display_name = models.CharField(max_length=128, blank=True)
    is_default = models.BooleanField(
        default=False, help_text="Answers when nobody asked for a certain model."
    )

    class Meta:
        """At most one default."""

        verbose_name = "model"
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["is_default"],
                condition=Q(is_default=True),
                name="catalog_one_default",
                violation_error_message="Another model is the default; take that away first.",
            ),
        ]

    def __str__(self) -> str:
        return self.display_name or self.name
