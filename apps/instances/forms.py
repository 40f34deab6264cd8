"""The form that issues a credential."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
from django import forms
from django.utils import timezone

from motherfluxer_wire.fields import ModelName

_MOST_DAYS = 36_500


class ModelNamesField(forms.CharField):
    """Names of models, separated by commas or white space."""

    def clean(self, value: Any) -> Any:
        """Return a list of names. Raises ValidationError naming the first that is none."""
        names: list[str] = super().clean(value).replace(",", " ").split()
        for name in names:
            try:
                msgspec.convert(name, ModelName)
            except msgspec.ValidationError as error:
                raise forms.ValidationError(f"“{name}” is not a model's name.") from error
        return names


class CredentialForm(forms.Form):
    """Asks for a name, and what the credential is good for."""

    name = forms.CharField(
        max_length=64, help_text="For you to tell it by, such as the machine's name."
    )
    allowed_models = ModelNamesField(
        required=False,
        label="Models",
        help_text="Only these may be served with it, separated by commas. Empty: any.",
    )
    expires_days = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=_MOST_DAYS,
        label="Days until it expires",
        help_text="Empty: it is valid until you revoke it.",
    )

    @property
    def expires_at(self) -> datetime | None:
        """The moment it expires, or None."""
        days = self.cleaned_data["expires_days"]
        return timezone.now() + timedelta(days=days) if days else None
