"""What an applicant and a superadmin type."""

from django import forms

from apps.accounts.conf import CONF
from apps.accounts.errors import AlreadyOperatorError
from apps.accounts.models import OperatorInvitation
from apps.accounts.selectors import user_by_email


class ApplicationForm(forms.Form):
    """Asks what will be run, and why."""

    what = forms.CharField(
        label="What will you run?",
        help_text="Which models, on which machine, and when it is up.",
        max_length=CONF.application_chars,
        widget=forms.Textarea(attrs={"rows": 4}),
    )
    why = forms.CharField(
        label="Why here?",
        help_text="A sentence is enough.",
        max_length=CONF.application_chars,
        widget=forms.Textarea(attrs={"rows": 3}),
    )


class RefusalForm(forms.Form):
    """Asks for a word to whoever is refused."""

    word = forms.CharField(
        label="A word to the applicants",
        help_text="It stands in the mail to each of them and on their page.",
        max_length=CONF.application_chars,
        widget=forms.Textarea(attrs={"rows": 4}),
    )


class InvitationForm(forms.ModelForm):  # type: ignore[type-arg]  # generic for mypy alone
    """Asks for an address."""

    class Meta:
        """All the rest follows from who invites."""

        model = OperatorInvitation
        fields = ("email",)

    def clean_email(self) -> str:
        """Return the address in lower case, unless an operator has it."""
        email = str(self.cleaned_data["email"]).lower()
        invited = user_by_email(email=email)
        if invited is not None and invited.is_operator:
            raise forms.ValidationError(str(AlreadyOperatorError(email)))
        return email
