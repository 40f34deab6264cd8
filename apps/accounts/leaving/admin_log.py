"""Takes a user out of the admin sites' record of acts: that something was done stays, not to whom.

Acts of the user's own go with the account; see `docs/accounts.md`.
"""

from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model, Q, QuerySet

from apps.accounts.leaving.reach import tables_of_users

FORGOTTEN = "(deleted)"
_ASKED_AT_ONCE = 500


def log_entries_forget(*, user_id: int, addresses: frozenset[str]) -> None:
    """Forget whom and what of a user's the entries are about. Call it while the rows are there."""
    logged = set(LogEntry.objects.values_list("content_type", flat=True).distinct())
    _forget_objects(_content_type_id(get_user_model()), [user_id])
    for table in tables_of_users():
        if (type_id := _content_type_id(table.model)) in logged:
            _forget_objects(type_id, list(table.rows(user_id).values_list("pk", flat=True)))
    for address in addresses:
        naming = Q(object_repr__icontains=address) | Q(change_message__icontains=address)
        _forget(LogEntry.objects.filter(naming))


def _forget_objects(type_id: int, keys: list[object]) -> None:
    for start in range(0, len(keys), _ASKED_AT_ONCE):
        some = [str(key) for key in keys[start : start + _ASKED_AT_ONCE]]
        _forget(LogEntry.objects.filter(content_type=type_id, object_id__in=some))


def _forget(entries: QuerySet[LogEntry]) -> None:
    entries.update(object_id=None, object_repr=FORGOTTEN, change_message="")


def _content_type_id(model: type[Model]) -> int:
    return ContentType.objects.get_for_model(model).pk
