"""What the database can't check by itself about names: which of them are taken by what.

The admin's forms and the services ask here, so both refuse the same things in the same words.
"""

from django.core.exceptions import ValidationError

from apps.catalog import selectors
from apps.catalog.models import Alias, AliasTarget


def alias_name_check(name: str) -> None:
    """Raise ValidationError when a model has the name: an alias needs one of its own.

    That another alias or a model of the catalog has it, the table's own constraint says.
    """
    aliases = AliasTarget.objects.filter(model_name=name).values_list("alias__name", flat=True)
    if alias_name := aliases.first():
        raise ValidationError(
            f"The alias “{alias_name}” leads to a model named “{name}”. "
            "Give the new alias a name that no model has."
        )
    if name in selectors.announced_models():
        raise ValidationError(
            f"Instances have announced a model named “{name}”. "
            "Give the alias a name that no model has."
        )


def target_name_check(model_name: str, *, alias_name: str) -> None:
    """Raise ValidationError when a target is an alias: it leads to models only."""
    if model_name == alias_name:
        raise ValidationError("An alias can't lead to itself. Name a model.")
    if Alias.objects.filter(name=model_name).exists():
        raise ValidationError(
            f"“{model_name}” is an alias itself. Name the models that it leads to instead."
        )
