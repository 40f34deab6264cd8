"""The user of every site, known by e-mail address; the app's other tables are named here too."""

from datetime import datetime
from typing import Any, ClassVar

from allauth.mfa.models import Authenticator
from django.contrib.auth.models import (
    AbstractBaseUser,
    BaseUserManager,
    Group,
    PermissionsMixin,
)
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Lower
from django.utils import timezone

from apps.accounts.conf import CONF
from apps.accounts.keys.models import ApiKey
from apps.accounts.operators.models import OperatorApplication, OperatorInvitation
from apps.accounts.usage.models import KeyUsage

__all__ = [
    "ApiKey",
    "KeyUsage",
    "OperatorApplication",
    "OperatorInvitation",
    "User",
    "UserManager",
]

OPERATORS_GROUP = "operators"


class UserManager(BaseUserManager["User"]):
    """Creates users; addresses are kept in lower case."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Create a registered user."""
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Create a superadmin."""
        return self.create_user(email, password, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        """Find a user by address, whatever its case."""
        return self.get(email__iexact=username)

    def operators(self) -> "models.QuerySet[User]":
        """Return those whose `is_operator` and `may_act` hold, as one query."""
        in_group = Group.objects.filter(name=OPERATORS_GROUP, user=OuterRef("pk"))
        is_operator = Q(is_superuser=True) | Exists(in_group)
        return self.filter(is_operator, is_active=True, deletion_at=None)


class User(AbstractBaseUser, PermissionsMixin):
    """A registered user. Operators are in a group of that name; superadmins are superusers."""

    email = models.EmailField(max_length=254, unique=True)
    is_active = models.BooleanField(default=True)
    date_joined = models.DateTimeField(default=timezone.now)
    unfinished_since = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Signed up, and not come in since."
    )
    deletion_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When the account is deleted for good."
    )

    objects = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        """One account an address, whatever its case."""

        constraints = [
            models.UniqueConstraint(Lower("email"), name="accounts_user_email_caseless"),
        ]

    def __str__(self) -> str:
        return self.email

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Keep the address in lower case, from whichever form it comes."""
        self.email = self.email.lower()
        super().save(*args, **kwargs)

    def is_left_over_at(self, now: datetime) -> bool:
        """Whether a sign-up was left unfinished for so long that it counts no more."""
        if self.unfinished_since is None:
            return False
        return (now - self.unfinished_since).total_seconds() >= CONF.unverified_kept_s

    @property
    def may_act(self) -> bool:
        """Whether the account can be used: keys, credentials and roles all ask this."""
        return self.is_active and self.deletion_at is None

    @property
    def is_superadmin(self) -> bool:
        """Whether the superadmin's site lets this user in."""
        return self.is_superuser and self.deletion_at is None

    @property
    def is_operator(self) -> bool:
        """Whether the operators' site lets this user in. One query, remembered on the object."""
        if self.deletion_at is not None:
            return False
        if not hasattr(self, "_is_operator"):
            # All of them, of which there are two at most: a list of users has read them already.
            names = {group.name for group in self.groups.all()}
            self._is_operator = self.is_superuser or OPERATORS_GROUP in names
        return self._is_operator

    @property
    def has_second_factor(self) -> bool:
        """Whether an authenticator app or a passkey is set up. One query."""
        mine = Authenticator.objects.filter(user_id=self.pk)
        return bool(mine.exclude(type=Authenticator.Type.RECOVERY_CODES).exists())

    @property
    def is_staff(self) -> bool:
        """What Django's admin asks in its templates."""
        return self.is_operator
