"""The roles, and the one place that asks for, gives and takes them.

Operators are the group of that name; superadmins are Django's superusers, whom every permission of
the admin sites is given to. Whose account is switched off or leaving has no role.
"""

from enum import StrEnum

from django.contrib.auth.models import Group

from apps.accounts.models import OPERATORS_GROUP, User


class Role(StrEnum):
    """What a user may do; each includes the ones before."""

    NONE = "none"
    REGISTERED = "registered"
    OPERATOR = "operator"
    SUPERADMIN = "superadmin"


def role_of(*, user: User) -> Role:
    """Tell a user's role."""
    if not user.may_act:
        return Role.NONE
    if user.is_superadmin:
        return Role.SUPERADMIN
    return Role.OPERATOR if user.is_operator else Role.REGISTERED


def role_grant_operator(*, user: User) -> None:
    """Let a user have credentials and the operators' site."""
    group, _ = Group.objects.get_or_create(name=OPERATORS_GROUP)
    user.groups.add(group)
    _forget(user)


def role_revoke_operator(*, user: User) -> None:
    """Take that away again; the router cuts the user's instances off within a second."""
    user.groups.remove(*Group.objects.filter(name=OPERATORS_GROUP))
    _forget(user)


def _forget(user: User) -> None:
    user.__dict__.pop("_is_operator", None)
