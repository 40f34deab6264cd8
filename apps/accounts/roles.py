"""The roles: who is an operator. The one place that gives and takes them."""

from django.contrib.auth.models import Group

from apps.accounts.models import OPERATORS_GROUP, User


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
