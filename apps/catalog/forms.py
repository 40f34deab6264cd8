"""The forms of the superadmin's catalog pages."""

from typing import Any

from django import forms
from django.forms import BaseInlineFormSet

from apps.catalog import rules
from apps.catalog.models import Alias, AliasTarget, CatalogModel

# The id of the list of announced models that the page offers while a name is typed.
_OFFERED = {"list": "announced-models", "autocomplete": "off"}


class NameForm(forms.ModelForm):  # type: ignore[type-arg]  # generic for mypy alone
    """What the forms of models and aliases share."""

    def clean(self) -> dict[str, Any]:
        """Refuse a default that nobody may ask for."""
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("is_default") and cleaned.get("is_forbidden"):
            words = "The default can't be forbidden: make another model or alias the default first."
            self.add_error("is_forbidden", words)
        return cleaned

    def _get_validation_exclusions(self) -> set[str]:
        # A second default is no mistake: saving it takes the flag from the first.
        exclusions: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return exclusions | {"is_default"}


class ModelForm(NameForm):
    """Asks what the site says about a model."""

    class Meta:
        """In the order in which people think of it."""

        model = CatalogModel
        fields = ("name", "display_name", "is_default", "is_hidden", "is_forbidden", "note")
        widgets = {"name": forms.TextInput(attrs=_OFFERED)}


class AliasForm(NameForm):
    """Asks for an alias; its targets are a formset below."""

    class Meta:
        """In the order in which people think of it."""

        model = Alias
        fields = ("name", "display_name", "is_default", "is_hidden", "is_forbidden", "note")

    def clean_name(self) -> str:
        """Refuse a name that a model has."""
        name: str = self.cleaned_data["name"]
        rules.alias_name_check(name)
        return name


class TargetForm(forms.ModelForm):  # type: ignore[type-arg]  # generic for mypy alone
    """Asks for one model that an alias leads to."""

    class Meta:
        """A model's name is typed or taken from the offered ones."""

        model = AliasTarget
        fields = ("model_name", "revision", "weight")
        widgets = {"model_name": forms.TextInput(attrs=_OFFERED)}

    def __init__(self, *args: Any, alias_name: str = "", **kwargs: Any) -> None:
        self._alias_name = alias_name
        super().__init__(*args, **kwargs)
        weight = float(self.initial.get("weight", 1))
        self.initial["weight"] = int(weight) if weight.is_integer() else weight

    def clean_model_name(self) -> str:
        """Refuse an alias."""
        model_name: str = self.cleaned_data["model_name"]
        rules.target_name_check(model_name, alias_name=self._alias_name)
        return model_name


class TargetFormSet(BaseInlineFormSet):  # type: ignore[type-arg]  # generic for mypy alone
    """All targets of one alias: at least one, each once."""

    default_error_messages = {
        **BaseInlineFormSet.default_error_messages,
        "too_few_forms": "An alias needs at least one model to lead to.",
    }

    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        """Tell each line whose it is."""
        return {**super().get_form_kwargs(index), "alias_name": self.instance.name}

    def get_unique_error_message(self, unique_check: Any) -> str:
        """Say what to do about a target that is there twice."""
        return "A model and revision stands here twice: keep one line and add up the weights."
