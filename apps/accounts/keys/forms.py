"""The forms of a user's keys."""

from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from django import forms
from django.utils import timezone

from apps.accounts.conf import CONF
from apps.accounts.keys.names import model_choices
from apps.accounts.keys.services import expiry_after

_ON_A_DATE: Final = "date"
_NEVER: Final = "never"
_EXPIRIES: Final = (
    ("30", "In 30 days"),
    ("90", "In 90 days"),
    ("365", "In a year"),
    (_ON_A_DATE, "On a date"),
    (_NEVER, "Never"),
)
GRACES: Final = (("0", "At once"), ("3600", "In an hour"), ("86400", "In 24 hours"))


class ApiKeyForm(forms.Form):
    """Asks for a name, and what the key is good for."""

    name = forms.CharField(
        max_length=CONF.api_key_name_chars,
        help_text="For you to tell it by, such as “laptop”.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    expires = forms.ChoiceField(choices=_EXPIRIES, initial="365")
    expires_on = forms.DateField(
        required=False,
        label="Expires on",
        help_text="Its last day (UTC), where “On a date” is chosen.",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    models = forms.MultipleChoiceField(
        choices=model_choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="The key may ask for these alone. None ticked: for any.",
    )
    requests_per_minute = forms.IntegerField(
        required=False,
        min_value=1,
        label="Requests a minute",
        help_text="Empty: as many as the site allows.",
    )
    may_manage = forms.BooleanField(
        required=False,
        label="Also opens /api/",
        help_text="Then whoever has it can also read your conversations and change your account.",
    )

    def clean(self) -> None:
        """Refuse a date that is missing or past, where a date was chosen."""
        data = super().clean() or self.cleaned_data
        if data.get("expires") != _ON_A_DATE or "expires_on" in self.errors:
            return
        day, today = data.get("expires_on"), timezone.now().astimezone(UTC).date()
        if day is None:
            self.add_error("expires_on", "Choose the date.")
        elif not today <= day <= today + timedelta(days=CONF.api_key_days):
            self.add_error("expires_on", "The date lies between today and ten years from now.")

    @property
    def scope(self) -> dict[str, Any]:
        """What `api_key_issue` takes beside the user and the name."""
        data = self.cleaned_data
        return {
            "allowed_models": data["models"] or None,
            "requests_per_minute": data["requests_per_minute"],
            "may_manage": data["may_manage"],
            "expires_at": self._expires_at(),
        }

    def _expires_at(self) -> datetime | None:
        choice = self.cleaned_data["expires"]
        if choice == _NEVER:
            return None
        if choice == _ON_A_DATE:
            after = self.cleaned_data["expires_on"] + timedelta(days=1)
            return datetime.combine(after, time(), tzinfo=UTC)
        return expiry_after(days=int(choice))


class RotateForm(forms.Form):
    """Asks for how long the old secret stays good."""

    grace = forms.ChoiceField(
        choices=GRACES, initial="3600", label="The old secret ends", widget=forms.RadioSelect
    )
    rotated_before = forms.CharField(max_length=40, widget=forms.HiddenInput)

    @property
    def grace_time(self) -> timedelta:
        """How long the old secret stays good."""
        return timedelta(seconds=int(self.cleaned_data["grace"]))
