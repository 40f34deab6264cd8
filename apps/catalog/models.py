"""The names that people may ask for: models, and aliases that stand for one or several models."""

from typing import Final

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

MOST_WEIGHT: Final = 1_000_000.0

# As `motherfluxer_wire.fields.ModelName` has it: what instances announce and clients ask for.
name_valid = RegexValidator(
    r"\A[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}\Z",
    "A name begins with a letter or digit; then up to 127 letters, digits or . _ : / @ + - follow.",
)

_WEIGHT_WORDS: Final = (
    f"A weight is a number above 0, at most {MOST_WEIGHT:,.0f}. "
    "To give a model nothing, delete its line."
)


def weight_valid(weight: float) -> None:
    """Raise ValidationError for anything but a number above 0 that a share can be made of."""
    if not 0 < weight <= MOST_WEIGHT:
        raise ValidationError(_WEIGHT_WORDS, code="weight")


class CatalogName(models.Model):
    """What a model and an alias share. One table, so that no two of them have the same name."""

    name = models.CharField(
        max_length=128,
        unique=True,
        validators=[name_valid],
        error_messages={"unique": "A model or an alias has this name already. Choose another one."},
    )
    display_name = models.CharField(
        max_length=128, blank=True, help_text="Shown to people instead of the name."
    )
    note = models.CharField(
        max_length=255, blank=True, help_text="For superadmins: what it is for, since when."
    )
    is_default = models.BooleanField(
        "default",
        default=False,
        help_text="Answers when nobody asked for a certain model. Only one can be it.",
    )
    is_hidden = models.BooleanField(
        "hidden", default=False, help_text="In no list, though whoever knows the name can use it."
    )
    is_forbidden = models.BooleanField(
        "forbidden",
        default=False,
        help_text="Nobody may ask for it, and no alias leads to it. Takes effect within 2 s.",
    )

    class Meta:
        """At most one default, and that one may be asked for."""

        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["is_default"],
                condition=Q(is_default=True),
                name="catalog_one_default",
                violation_error_message="Another model or alias is the default; "
                "take that away first.",
            ),
            models.CheckConstraint(
                condition=~Q(is_default=True, is_forbidden=True),
                name="catalog_default_not_forbidden",
                violation_error_message="The default can't be forbidden: "
                "make another model or alias the default first.",
            ),
        ]

    def __str__(self) -> str:
        return self.display_name or self.name

    @property
    def states(self) -> list[str]:
        """What is special about it, in words."""
        words = {
            "default": self.is_default,
            "hidden": self.is_hidden,
            "forbidden": self.is_forbidden,
        }
        return [word for word, is_so in words.items() if is_so]


class CatalogModel(CatalogName):
    """What the site says about a model that instances announce under `name`."""

    class Meta:
        """Named for people."""

        verbose_name = "model"


class Alias(CatalogName):
    """Another name for models: each request draws one of the targets, by weight."""

    targets_since = models.DateTimeField(
        default=timezone.now, editable=False, help_text="When its targets were last changed."
    )

    class Meta:
        """Named for people."""

        verbose_name = "alias"
        verbose_name_plural = "aliases"


class AliasTarget(models.Model):
    """One model that an alias stands for, and its share of the requests."""

    alias = models.ForeignKey(Alias, on_delete=models.CASCADE, related_name="targets")
    model_name = models.CharField("model", max_length=128, validators=[name_valid])
    revision = models.CharField(
        max_length=128,
        blank=True,
        help_text="As instances announce it. Empty: any revision of the model.",
    )
    weight = models.FloatField(
        default=1.0,
        validators=[weight_valid],
        help_text="Its share is this by the sum of all: 95 and 5 make 95 % and 5 %.",
    )

    class Meta:
        """Each target once, with a weight above 0."""

        verbose_name = "target"
        ordering = ["alias", "-weight", "model_name", "revision"]
        constraints = [
            models.UniqueConstraint(
                fields=["alias", "model_name", "revision"],
                name="catalog_target_once",
                violation_error_message="This model and revision is a target already: "
                "keep one line and add up the weights.",
            ),
            models.CheckConstraint(
                condition=Q(weight__gt=0) & Q(weight__lte=MOST_WEIGHT),
                name="catalog_target_weight",
                violation_error_message=_WEIGHT_WORDS,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model_name}@{self.revision}" if self.revision else self.model_name
