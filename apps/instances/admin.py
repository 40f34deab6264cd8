"""Credentials and known instances, on the operators' site and on the superadmin's."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.forms import Media
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.instances import overview, selectors, services
from apps.instances.errors import CredentialError
from apps.instances.forms import CredentialForm
from apps.instances.models import Credential, KnownInstance
from apps.instances.sites import operator_site, owner_of, program_address
from apps.instances.start import start_command


class OwnThingsAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for mypy alone
    """Shows each operator his own, edits nothing and deletes nothing."""

    actions = None

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Call the list by what is in it."""
        title = {"title": str(self.opts.verbose_name_plural).capitalize()}
        return super().changelist_view(request, {**title, **(extra_context or {})})

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Ask for the role, not for Django's permissions."""
        return bool(request.user.is_active and getattr(request.user, "is_operator", False))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let operators look; `get_queryset` says at what."""
        return self.has_module_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Add nothing by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Edit nothing."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Delete nothing: the record stays."""
        return False


@admin.register(Credential, site=operator_site)
@admin.register(Credential)
class CredentialAdmin(OwnThingsAdmin):
    """Issues, rotates and revokes credentials; each secret is in one response only."""

    list_display = (
        "name",
        "begins_with",
        "models",
        "operator",
        "created_at",
        "expires_at",
        "last_used_at",
        "state",
        "acts",
    )
    search_fields = ("name", "token_id", "operator__email")
    fields = (
        "name",
        "begins_with",
        "operator",
        "models",
        "created_at",
        "expires_at",
        "revoked_at",
        "last_used_at",
        "last_used_address",
        "state",
    )
    change_form_template = "instances/credential_detail.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Credential]:
        """Return the operator's own, or everybody's for a superadmin."""
        return selectors.credentials_of(operator_id=owner_of(request))

    def get_list_display(self, request: HttpRequest) -> Any:
        """Leave the operator's column to those who see several."""
        hidden = () if owner_of(request) is None else ("operator",)
        return tuple(name for name in self.list_display if name not in hidden)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Let operators issue credentials."""
        return self.has_module_permission(request)

    @admin.display(description="begins with")
    def begins_with(self, credential: Credential) -> SafeString:
        """Show the part that is no secret."""
        return format_html("<code>{}</code>", credential.prefix)

    @admin.display(description="models")
    def models(self, credential: Credential) -> str:
        """Name the models it is good for."""
        return ", ".join(credential.allowed_models or ()) or "any"

    @admin.display(description="state")
    def state(self, credential: Credential) -> SafeString:
        """Say whether it is still good."""
        state = credential.state_at(timezone.now())
        return format_html('<span class="mf-state mf-state-{}">{}</span>', state, state)

    @admin.display(description="what you can do")
    def acts(self, credential: Credential) -> SafeString | str:
        """Offer what can be done with it."""
        if credential.revoked_at is not None:
            return ""
        return format_html(
            '<a class="mf-act" href="{}" aria-label="Rotate {}">Rotate</a> '
            '<a class="mf-act" href="{}" aria-label="Revoke {}">Revoke</a>',
            reverse("admin:instances_credential_rotate", args=(credential.pk,)),
            credential.name,
            reverse("admin:instances_credential_revoke", args=(credential.pk,)),
            credential.name,
        )

    def get_urls(self) -> list[URLPattern]:
        """Add the two acts."""
        view = self.admin_site.admin_view
        return [
            path(
                "<int:credential_id>/revoke/",
                view(self.revoke_view),
                name="instances_credential_revoke",
            ),
            path(
                "<int:credential_id>/rotate/",
                view(self.rotate_view),
                name="instances_credential_rotate",
            ),
            *super().get_urls(),
        ]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Issue a credential and show it in this one response."""
        if not self.has_add_permission(request) or request.user.pk is None:
            raise Http404
        form = CredentialForm(request.POST or None)
        if form.is_valid():
            try:
                credential, text = services.credential_issue(
                    operator_id=request.user.pk,
                    name=form.cleaned_data["name"],
                    allowed_models=form.cleaned_data["allowed_models"],
                    expires_at=form.expires_at,
                )
            except CredentialError as error:
                form.add_error("name", str(error))
            else:
                self.log_addition(request, credential, [{"added": {}}])
                return self._shown_once(request, credential, text)
        return self._page(request, "instances/credential_add.html", "New credential", form=form)

    def revoke_view(self, request: HttpRequest, credential_id: int) -> HttpResponseBase:
        """Revoke a credential once that is confirmed."""
        credential = self._own(request, credential_id)
        if request.method != "POST":
            return self._confirm(request, credential, "revoke")
        try:
            services.credential_revoke(credential_id=credential.pk)
        except CredentialError as error:
            self.message_user(request, str(error), "WARNING")
        else:
            self.log_change(request, credential, "Revoked.")
            self.message_user(request, f"Revoked {credential}. Its instances are cut off now.")
        return HttpResponseRedirect(reverse("admin:instances_credential_changelist"))

    def rotate_view(self, request: HttpRequest, credential_id: int) -> HttpResponseBase:
        """Replace a credential once that is confirmed, and show the new one in this response."""
        credential = self._own(request, credential_id)
        if request.method != "POST":
            return self._confirm(request, credential, "rotate")
        try:
            fresh, text = services.credential_rotate(credential_id=credential.pk)
        except CredentialError as error:
            self.message_user(request, str(error), "WARNING")
            return HttpResponseRedirect(reverse("admin:instances_credential_changelist"))
        self.log_change(request, credential, f"Rotated: replaced by {fresh.prefix}.")
        self.log_addition(request, fresh, f"Issued in place of {credential.prefix}.")
        return self._shown_once(request, fresh, text)

    def _own(self, request: HttpRequest, credential_id: int) -> Credential:
        return get_object_or_404(self.get_queryset(request), pk=credential_id)

    def _confirm(self, request: HttpRequest, credential: Credential, act: str) -> HttpResponse:
        live = overview.live_instances()
        connected = overview.connected_count(
            credential.token_id, live, credential.instances.select_related("credential")
        )
        return self._page(
            request,
            "instances/credential_confirm.html",
            f"{act.capitalize()} {credential.name}?",
            credential=credential,
            act=act,
            connected=connected,
        )

    def _shown_once(self, request: HttpRequest, credential: Credential, text: str) -> HttpResponse:
        response = self._page(
            request,
            "instances/credential_shown.html",
            f"Your new credential “{credential.name}”",
            credential=credential,
            text=text,
            command=start_command(router=program_address(request), credential=text),
        )
        response["Cache-Control"] = "no-store"
        return response

    def _page(
        self, request: HttpRequest, template: str, title: str, **context: Any
    ) -> TemplateResponse:
        request.current_app = self.admin_site.name
        common = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "media": Media(),
        }
        return TemplateResponse(request, template, {**common, **context})


@admin.register(KnownInstance, site=operator_site)
@admin.register(KnownInstance)
class KnownInstanceAdmin(OwnThingsAdmin):
    """Lists the instances that have connected."""

    list_display = ("name", "connected", "models", "slots", "credential", "agent", "last_seen")
    search_fields = ("name", "credential__name")
    fields = (
        "name",
        "connected",
        "credential",
        "agent",
        "models",
        "slots",
        "region",
        "hardware",
        "first_seen",
        "last_seen",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[KnownInstance]:
        """Return the operator's own, or everybody's for a superadmin."""
        return selectors.instances_known(operator_id=owner_of(request))

    @admin.display(description="connected", boolean=True)
    def connected(self, instance: KnownInstance) -> bool:
        """Say whether it is connected now."""
        return overview.is_connected(instance, overview.live_instances())

    @admin.display(description="models")
    def models(self, instance: KnownInstance) -> str:
        """Name the models it serves."""
        return ", ".join(model["name"] for model in instance.served_models)
