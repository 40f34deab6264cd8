"""A user of whom every table that can hold something of a user does hold something.

A new table is filled by its columns' types; where that is not enough, add it to `_make_own`.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection, models
from django.utils import timezone

from apps.accounts import roles
from apps.accounts.leaving.reach import tables_of_users
from apps.accounts.models import OperatorInvitation, User
from apps.chat.fields import EncryptedTextField
from apps.chat.models import Conversation, Message

NUMBER = 918273645
ADDRESS = "whole.person@example.org"
OTHER_ADDRESS = "second.of.whole@example.net"
MARK = "zyxmark"
_TRACES = (str(NUMBER), "whole.person", "second.of.whole", MARK)


def whole_user_make() -> User:
    """Make the user, a row in each table of users, sessions, and mentions by a superadmin."""
    user = User.objects.create_user(ADDRESS, "a long password", pk=NUMBER)
    roles.role_grant_operator(user=user)
    _make_own(user)
    for table in tables_of_users():
        if not table.rows(NUMBER).exists():
            _make_row(table.model, user)
    _make_sessions()
    _make_mentions(user)
    return user


def traces_left() -> list[str]:
    """Look through every row of every table, encrypted columns and sessions opened."""
    return [found for found in _all_values() if any(trace in found.lower() for trace in _TRACES)]


def _make_own(user: User) -> None:
    from allauth.account.models import EmailAddress

    EmailAddress.objects.create(user=user, email=ADDRESS, verified=True, primary=True)
    EmailAddress.objects.create(user=user, email=OTHER_ADDRESS, verified=True)
    conversation = Conversation.objects.create(owner=user, title=f"{MARK} title")
    roles_in_turn = (Message.Role.USER, Message.Role.ASSISTANT)
    for number, role in enumerate(roles_in_turn):
        text = f"{MARK} says {role}"
        conversation.messages.create(number=number, role=role, content=text, job_id="job-1")


def _make_row(model: type[models.Model], user: User) -> None:
    """Fill a row's columns by their types; foreign keys lead to the user or to a row of theirs."""
    values = {}
    for field in model._meta.concrete_fields:
        if field.auto_created:
            continue
        if isinstance(field, models.ForeignKey):
            values[field.name] = _related(field, user)
        elif not field.has_default() or isinstance(field, models.CharField | models.TextField):
            values[field.name] = _value(field)
    model._base_manager.create(**values)


def _related(field: Any, user: User) -> Any:
    if field.related_model is User:
        return user
    of_user = [table for table in tables_of_users() if table.model is field.related_model]
    for table in of_user:
        return table.rows(user.pk).first() or _made(table.model, user)
    return field.related_model._base_manager.first()


def _made(model: type[models.Model], user: User) -> Any:
    _make_row(model, user)
    return model._base_manager.latest("pk")


def _value(field: Any) -> Any:
    if field.choices:
        return field.choices[0][0]
    if isinstance(field, models.GenericIPAddressField):
        return "192.0.2.1"
    if isinstance(field, models.EmailField):
        return ADDRESS
    if isinstance(field, models.CharField | models.TextField):
        return f"{MARK} {field.name}"[: field.max_length]
    if isinstance(field, models.JSONField):
        return [{"name": MARK}]
    if isinstance(field, models.DateTimeField):
        return timezone.now()
    return timezone.now().date() if isinstance(field, models.DateField) else 1


def _make_sessions() -> None:
    for data in (
        {SESSION_KEY: str(NUMBER)},
        {"account_login": {"user_pk": str(NUMBER), "email": None}},
        {"account_email_verification_code": {"email": ADDRESS.upper(), "code": "x"}},
    ):
        session = SessionStore()
        session.update(data)
        session.create()


def _make_mentions(user: User) -> None:
    """What a superadmin did to the user and to things of the user's, and whom he invited."""
    boss = User.objects.create_superuser("boss@example.org", pk=11)
    for subject in (user, Conversation.objects.get(owner=user), *user.groups.all()):
        LogEntry.objects.create(
            user=boss,
            content_type=ContentType.objects.get_for_model(subject),
            object_id=str(subject.pk),
            object_repr=f"{MARK} {subject}" if not isinstance(subject, Group) else "operators",
            action_flag=CHANGE,
            change_message=f"Added {ADDRESS}." if isinstance(subject, Group) else MARK,
        )
    OperatorInvitation.objects.create(email=OTHER_ADDRESS, invited_by=boss)
    user.operator_applications.update(decided_by=boss)
    User.objects.filter(pk=boss.pk).update(last_login=timezone.now() - timedelta(days=1))


def _all_values() -> Iterator[str]:
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608  # a name of our own schema
            for row in cursor.fetchall():
                yield f"{table}: {row}"
    for model in apps.get_models():
        hidden = [f for f in model._meta.concrete_fields if isinstance(f, EncryptedTextField)]
        for row in model._base_manager.all() if hidden else ():
            yield f"{model._meta.label}: {[getattr(row, field.attname) for field in hidden]}"
    from django.contrib.sessions.models import Session

    for session in Session.objects.all():
        yield f"session: {session.get_decoded()}"
