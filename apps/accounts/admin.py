"""Users and API keys on the superadmin's site."""

from typing import Any

from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest

from apps.accounts import factors, roles
from apps.accounts import services as account_services
from apps.accounts.keys import services
from apps.accounts.leaving import services as leaving
from apps.accounts.models import OPERATORS_GROUP, ApiKey, User
from apps.accounts.operators.admin import OperatorApplicationAdmin, OperatorInvitationAdmin

__all__ = [
    "ApiKeyAdmin",
    "EmailUserAdmin",
    "OperatorApplicationAdmin",
    "OperatorInvitationAdmin",
]

# A factor is removed with all of a user's others, below; the rest is their users' own, or is set
# in the environment.
admin.site.unregister([Authenticator, UserSession, SocialAccount, SocialApp, SocialToken])


class CaselessEmailForm(UserChangeForm):  # type: ignore[type-arg]  # generic for mypy alone
    """Refuses an address that another account has in another case."""

    def clean_email(self) -> str:
        """Return the address in lower case."""
        return str(self.cleaned_data["email"]).lower()


class NewUserForm(AdminUserCreationForm):  # type: ignore[type-arg]  # generic for mypy alone
    """Asks for an address and a password."""

    class Meta:
        """The user model has no user name."""

        model = User
        fields = ("email",)

    def clean_email(self) -> str:
        """Return the address in lower case."""
        return str(self.cleaned_data["email"]).lower()


@admin.register(User)
class EmailUserAdmin(UserAdmin):  # type: ignore[type-arg]  # generic for mypy alone
    """Django's user admin for users known by address."""

    form = CaselessEmailForm
    add_form = NewUserForm
    list_display = ("email", "role", "has_factor", "is_active", "date_joined", "last_login")
    list_filter = ("is_superuser", "is_active", "groups")
    search_fields = ("email",)
    ordering = ("email",)
    readonly_fields = ("date_joined", "last_login", "deletion_at")
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        ("Roles", {"fields": ("is_active", "is_superuser", "groups")}),
        ("Dates", {"fields": ("date_joined", "last_login", "deletion_at")}),
    )
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("email", "usable_password", "password1", "password2"),
            },
        ),
    )
    filter_horizontal = ("groups",)
    actions = ("revoke_operator", "remove_second_factors")

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Read with the users what each row shows: groups for a role, and a second factor."""
        theirs = Authenticator.objects.filter(user=OuterRef("pk"))
        has_one = Exists(theirs.exclude(type=Authenticator.Type.RECOVERY_CODES))
        users: QuerySet[User] = super().get_queryset(request).annotate(has_one=has_one)
        return users.prefetch_related("groups")

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Save; an address that is changed here is a new one, and the old one opens nothing."""
        super().save_model(request, obj, form, change)
        if change and "email" in form.changed_data:
            account_services.other_addresses_forget(user=obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Let nobody delete the account that they are signed in with."""
        return obj != request.user and super().has_delete_permission(request, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Name the accounts alone: all that is theirs goes too, whoever may delete it singly."""
        mine = [obj for obj in objs if obj == request.user]
        return [str(obj) for obj in objs], {"accounts": len(objs)}, set(), mine

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        """Delete the account with everything that any app keeps of it, without a grace."""
        leaving.account_delete(user_id=obj.pk)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Delete each of them so."""
        for user_id in list(queryset.values_list("pk", flat=True)):
            leaving.account_delete(user_id=user_id)

    @admin.display(description="second factor", boolean=True)
    def has_factor(self, user: User) -> bool:
        """Say whether one is set up."""
        return bool(getattr(user, "has_one"))  # noqa: B009  # annotated above

    @admin.display(description="role")
    def role(self, user: User) -> str:
        """Say in a word what the user may do."""
        return roles.role_of(user=user)

    @admin.action(description="Take the operator's role away", permissions=["change"])
    def revoke_operator(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Cut their instances off, within a second."""
        operators = list(queryset.filter(groups__name=OPERATORS_GROUP))
        for user in operators:
            roles.role_revoke_operator(user=user)
            self.log_change(request, user, "Took the operator's role away.")
        self.message_user(request, f"No operators any more: {len(operators)}.")

    @admin.action(description="Remove the second factors of selected users", permissions=["change"])
    def remove_second_factors(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Help those who have lost theirs; they sign in by password and set up another."""
        users = list(queryset)
        for user in users:
            factors.factors_remove(user=user)
            self.log_change(request, user, "Removed the second factors.")
        self.message_user(request, f"Without a second factor now: {len(users)}.")


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for mypy alone
    """Lists keys and revokes them; nobody sees or changes a secret."""

    list_display = (
        *("name", "prefix", "user", "may_manage", "created_at", "expires_at"),
        *("last_used_at", "last_used_address", "revoked_at"),
    )
    list_filter = (("revoked_at", admin.EmptyFieldListFilter), "may_manage")
    list_select_related = ("user",)
    search_fields = ("name", "token_id", "user__email")
    actions = ("revoke",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Only a user issues a key for himself; there is the command for others."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """Show and revoke, but edit nothing."""
        return obj is None and super().has_change_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """Keep the record; keys are revoked."""
        return False

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        """Show everything but the digests."""
        return (
            *("name", "prefix", "user", "allowed_models", "requests_per_minute", "may_manage"),
            *("created_at", "expires_at", "rotated_at", "previous_until", "revoked_at"),
            *("last_used_at", "last_used_address"),
        )

    @admin.action(description="Revoke the selected keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        """Revoke those that are still live."""
        live = list(queryset.filter(revoked_at=None).select_related("user"))
        for key in live:
            services.api_key_revoke(user=key.user, key_id=key.pk)
            self.log_change(request, key, "Revoked.")
        self.message_user(request, f"Revoked: {len(live)}.")
