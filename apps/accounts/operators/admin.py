"""Applications and invitations on the superadmin's site: decided, sent, withdrawn, each logged."""

from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import ModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from apps.accounts.errors import AccountError
from apps.accounts.models import OperatorApplication, OperatorInvitation, User
from apps.accounts.operators import letters, services
from apps.accounts.operators.forms import InvitationForm, RefusalForm


class RecordAdmin(ModelAdmin):  # type: ignore[type-arg]  # generic for mypy alone
    """Shows a record, which is changed by acts alone and kept."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Act on the list, but edit nothing."""
        return obj is None and super().has_change_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Keep the record; it goes with the account."""
        return False


@admin.register(OperatorApplication)
class OperatorApplicationAdmin(RecordAdmin):
    """Lists applications, the waiting ones first, and decides them."""

    list_display = ("user", "state", "what", "created_at", "decided_at", "decided_by")
    list_filter = ("state",)
    list_select_related = ("user", "decided_by")
    search_fields = ("user__email",)
    ordering = ("-state", "-created_at")
    fields = ("user", "state", "what", "why", "created_at", "word", "decided_at", "decided_by")
    actions = ("approve", "refuse")
    change_form_template = "superadmin/operator_application.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Only a user applies for himself; there are invitations for others."""
        return False

    @admin.action(description="Approve the selected applications", permissions=["change"])
    def approve(self, request: HttpRequest, queryset: QuerySet[OperatorApplication]) -> None:
        """Make the applicants operators and tell them."""
        self._decide(request, queryset, services.application_approve, "Approved.", word="")

    @admin.action(description="Refuse the selected applications", permissions=["change"])
    def refuse(
        self, request: HttpRequest, queryset: QuerySet[OperatorApplication]
    ) -> HttpResponse | None:
        """Ask for a word to the applicants, then refuse them and tell them."""
        form = RefusalForm(request.POST if "word" in request.POST else None)
        if not form.is_valid():
            context = {
                **self.admin_site.each_context(request),
                "title": "Refuse applications",
                "opts": self.opts,
                "form": form,
                "applications": queryset,
                "checkbox_name": ACTION_CHECKBOX_NAME,
            }
            return TemplateResponse(request, "superadmin/operator_refusal.html", context)
        word = form.cleaned_data["word"]
        self._decide(request, queryset, services.application_refuse, "Refused.", word=word)
        return None

    def _decide(
        self,
        request: HttpRequest,
        queryset: QuerySet[OperatorApplication],
        decide: Any,
        act: str,
        *,
        word: str,
    ) -> None:
        decided = 0
        for pk in list(queryset.values_list("pk", flat=True)):
            try:
                application = decide(
                    application_id=pk, by=_user(request), now=timezone.now(), word=word
                )
            except AccountError as error:
                self.message_user(request, str(error), "WARNING")
            else:
                decided += 1
                self.log_change(request, application, act)
                letters.decision_letter_send(request=request, application=application)
        self.message_user(request, f"{act[:-1]}: {decided}.")


@admin.register(OperatorInvitation)
class OperatorInvitationAdmin(RecordAdmin):
    """Invites by address; the mail carries a link that expires."""

    form = InvitationForm
    list_display = ("email", "state", "invited_by", "created_at", "expires_at")
    list_select_related = ("invited_by",)
    search_fields = ("email",)
    fields = ("email",)
    actions = ("withdraw",)

    @admin.display(description="state")
    def state(self, invitation: OperatorInvitation) -> str:
        """Say how it stands."""
        return invitation.state_at(timezone.now())

    def save_model(
        self, request: HttpRequest, obj: OperatorInvitation, form: Any, change: bool
    ) -> None:
        """Invite, and send the mail."""
        made = services.invitation_make(email=obj.email, by=_user(request))
        obj.pk = made.pk
        letters.invitation_letter_send(request=request, invitation=made)

    @admin.action(description="Withdraw the selected invitations", permissions=["change"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[OperatorInvitation]) -> None:
        """Let their links open nothing any more."""
        withdrawn = [
            invitation
            for invitation in queryset
            if services.invitation_withdraw(invitation_id=invitation.pk, now=timezone.now())
        ]
        for invitation in withdrawn:
            self.log_change(request, invitation, "Withdrawn.")
        self.message_user(request, f"Withdrawn: {len(withdrawn)}.")


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)
