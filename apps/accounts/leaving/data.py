"""Fills the router's `account_data` for the account itself and what libraries keep beside it."""

from collections.abc import Iterator

from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model

from apps.accounts.leaving.reach import Reached, tables_of_users
from apps.accounts.leaving.records import rows_as_json
from apps.accounts.leaving.sessions import sessions_end
from apps.accounts.models import OperatorInvitation
from apps.accounts.selectors import addresses_of
from apps.router import ports

APP = "accounts"


class OwnData:
    """The account, its keys, addresses, second factors, sessions, applications, invitations."""

    def export(self, user_id: int) -> Iterator[tuple[str, bytes]]:
        """Yield a file for the account and one for each table that no other app answers for."""
        user = get_user_model().objects.filter(pk=user_id)
        yield "account.json", rows_as_json(user)
        for table in _own_tables():
            rows = table.rows(user_id)
            if rows.exists():
                yield f"account/{_file_name(table)}.json", rows_as_json(rows)
        invited = OperatorInvitation.objects.filter(email__in=addresses_of(user_id=user_id))
        if invited.exists():
            yield "account/invitations.json", rows_as_json(invited)

    def delete(self, user_id: int) -> None:
        """Delete all of it, the account last."""
        addresses = addresses_of(user_id=user_id)
        sessions_end(user_id=user_id, addresses=addresses)
        OperatorInvitation.objects.filter(email__in=addresses).delete()
        get_user_model().objects.filter(pk=user_id).delete()


def _own_tables() -> list[Reached]:
    others = set(ports.account_data.all()) - {APP}
    return [table for table in tables_of_users() if table.model._meta.app_label not in others]


def _file_name(table: Reached) -> str:
    if table.model is LogEntry:
        return "acts_on_the_admin_sites"
    if table.model._meta.auto_created:
        return table.model._meta.model_name or ""
    return str(table.model._meta.verbose_name_plural).replace(" ", "_").lower()
