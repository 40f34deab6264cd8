"""Taking one's data along, leaving, coming back, and being gone."""

import io
import json
import zipfile
from datetime import timedelta

import pytest
from django.apps import apps
from django.core import mail
from django.utils import timezone

from apps.accounts.errors import LastSuperadminError
from apps.accounts.keys.services import api_key_issue
from apps.accounts.leaving import services
from apps.accounts.leaving.admin_log import log_entries_forget
from apps.accounts.leaving.export import account_zip
from apps.accounts.leaving.reach import tables_of_users
from apps.accounts.models import User
from apps.accounts.tasks import delete_due
from apps.chat.models import Message
from apps.instances.selectors import tokens_ended
from apps.instances.services import credential_issue
from apps.router import ports
from tests.clients import SiteClient
from tests.integration.accounts.whole_user import (
    MARK,
    NUMBER,
    traces_left,
    whole_user_make,
)

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


@pytest.fixture
def browser() -> SiteClient:
    """A browser that has just signed in with the password."""
    user = User.objects.create_user("leaver@example.org", PASSWORD)
    client = SiteClient("user")
    client.force_login(user)
    return client


def _confirm_password(browser: SiteClient) -> None:
    browser.post("/accounts/reauthenticate/", {"password": PASSWORD})


def test_every_table_of_users_has_something_of_the_whole_user() -> None:
    user = whole_user_make()
    tables = tables_of_users()
    assert {"chat.message", "instances.knowninstance", "admin.logentry"} <= {
        table.model._meta.label_lower for table in tables
    }
    assert [str(table) for table in tables if not table.rows(user.pk).exists()] == []


def test_no_column_holds_a_user_without_a_foreign_key() -> None:
    numbers = ("user_id", "owner_id", "operator_id", "account_id")
    loose = [
        str(field)
        for model in apps.get_models()
        for field in model._meta.concrete_fields
        if field.name in numbers and not field.is_relation
    ]
    assert loose == []


def test_a_deleted_account_leaves_no_trace_in_any_table() -> None:
    whole_user_make()
    assert traces_left()
    services.account_delete(user_id=NUMBER)
    assert traces_left() == []
    assert User.objects.filter(email="boss@example.org").exists()


def test_the_export_holds_something_of_every_table_and_no_secret() -> None:
    user = whole_user_make()
    key, secret = api_key_issue(user=user, name="laptop")
    with zipfile.ZipFile(io.BytesIO(account_zip(user_id=user.pk))) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    whole = "\n".join(files.values())
    for table in tables_of_users():
        for row in table.rows(user.pk):
            assert str(row.pk) in whole, table
    for text in ("whole.person@example.org", "second.of.whole@example.net", key.token_id):
        assert text in whole
    for hidden in (secret, key.digest, user.password):
        assert hidden not in whole
    assert all(json.loads(text) for name, text in files.items() if name.endswith(".json"))
    readable = next(
        text for name, text in files.items() if name.startswith("conv") and "md" in name
    )
    assert f"## You\n\n{MARK} says user" in readable
    assert f"{MARK} says assistant" in readable


def test_the_export_says_of_an_answer_why_it_ends_where_it_does() -> None:
    user = whole_user_make()
    answers = Message.objects.filter(role=Message.Role.ASSISTANT, conversation__owner=user)
    for state, cut_by, words in (
        ("complete", "model", "*(cut at the limit of its length)*"),
        ("stopped", "", "*(stopped)*"),
    ):
        answers.update(state=state, cut_by=cut_by)
        with zipfile.ZipFile(io.BytesIO(account_zip(user_id=user.pk))) as archive:
            readable = [archive.read(name).decode() for name in archive.namelist() if "md" in name]
        assert any(words in text for text in readable)


def test_the_export_is_asked_for_with_the_password_and_comes_as_a_file(browser: SiteClient) -> None:
    assert browser.get("/account/export/").status_code == 200
    asked = browser.post("/account/export/")
    assert asked.headers["Location"].startswith("/accounts/reauthenticate/")
    _confirm_password(browser)
    sent = browser.post("/account/export/")
    assert sent.headers["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(sent.content)) as archive:
        assert "leaver@example.org" in archive.read("account.json").decode()


def test_deletion_takes_the_password_a_grace_and_shows_the_date(browser: SiteClient) -> None:
    user = User.objects.get()
    elsewhere = SiteClient("user")
    elsewhere.force_login(user)
    assert "Location" in browser.post("/account/delete/").headers
    user.refresh_from_db()
    assert user.may_act
    _confirm_password(browser)
    assert browser.post("/account/delete/").headers["Location"] == "/account/delete/"
    user.refresh_from_db()
    assert user.deletion_at is not None
    page = browser.get("/account/delete/").content.decode()
    assert f"{user.deletion_at:%-d %B %Y, %H:%M} UTC" in page
    assert not elsewhere.is_signed_in
    [message] = [one for one in mail.outbox if "being deleted" in one.subject]
    assert message.to == ["leaver@example.org"]
    assert f"{user.deletion_at:%-d %B %Y, %H:%M} UTC" in str(message.body)
    assert "text/html" in str(getattr(message, "alternatives", ""))


@pytest.mark.parametrize("site", ["user", "admin", "superadmin"])
def test_signing_in_during_the_grace_leads_to_the_way_back(site: str) -> None:
    user = User.objects.create_superuser("leaver@example.org", PASSWORD)
    User.objects.create_superuser("boss@example.org")
    services.deletion_ask(user=user, now=timezone.now())
    browser = SiteClient(site)
    browser.force_login(user)
    shown = browser.get("/")
    assert shown.headers["Location"].endswith("/account/delete/")
    assert browser.post("/chat/ask", {"text": "Still there?"}).status_code == 302


def test_coming_back_gives_everything_back(browser: SiteClient) -> None:
    user = User.objects.get()
    services.deletion_ask(user=user, now=timezone.now())
    browser.force_login(user)
    assert browser.get("/history/").headers["Location"].endswith("/account/delete/")
    browser.post("/account/delete/keep/")
    assert browser.get("/history/").status_code == 200
    user.refresh_from_db()
    assert user.may_act


def test_credentials_open_nothing_during_the_grace_and_all_again_after_it() -> None:
    user = User.objects.create_superuser("leaver@example.org", PASSWORD)
    User.objects.create_superuser("boss@example.org")
    credential, _ = credential_issue(operator_id=user.pk, name="x")
    tokens = frozenset({credential.token_id})
    assert tokens_ended(token_ids=tokens) == frozenset()
    services.deletion_ask(user=user, now=timezone.now())
    assert tokens_ended(token_ids=tokens) == tokens
    services.deletion_withdraw(user=user)
    assert tokens_ended(token_ids=tokens) == frozenset()


def test_only_accounts_whose_grace_is_over_are_deleted() -> None:
    now = timezone.now()
    over = User.objects.create_user("over@example.org", deletion_at=now - timedelta(seconds=1))
    User.objects.create_user("waits@example.org", deletion_at=now + timedelta(hours=1))
    User.objects.create_user("stays@example.org")
    delete_due()
    assert not User.objects.filter(pk=over.pk).exists()
    assert User.objects.count() == 2


def test_who_comes_back_at_the_last_moment_is_not_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now()
    late = User.objects.create_user("late@example.org", deletion_at=now - timedelta(seconds=1))
    monkeypatch.setattr(services, "answers_stop", lambda **_: services.deletion_withdraw(user=late))
    assert services.accounts_delete_due(now=now) == 0
    assert User.objects.filter(pk=late.pk).exists()


def test_an_account_that_cannot_be_deleted_holds_no_other_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = timezone.now()
    for name in ("first", "second"):
        User.objects.create_user(f"{name}@example.org", deletion_at=now)
    first = User.objects.get(email="first@example.org")
    forget = log_entries_forget

    def fails(*, user_id: int, addresses: frozenset[str]) -> None:
        if user_id == first.pk:
            raise RuntimeError("a lock")
        forget(user_id=user_id, addresses=addresses)

    monkeypatch.setattr(services, "log_entries_forget", fails)
    assert services.accounts_delete_due(now=now) == 1
    assert list(User.objects.all()) == [first]


def test_asking_again_does_not_put_the_day_off() -> None:
    user = User.objects.create_user("leaver@example.org")
    now = timezone.now()
    first = services.deletion_ask(user=user, now=now)
    assert services.deletion_ask(user=user, now=now + timedelta(days=3)) == first


def test_the_last_superadmin_cannot_leave() -> None:
    boss = User.objects.create_superuser("boss@example.org")
    with pytest.raises(LastSuperadminError):
        services.deletion_ask(user=boss, now=timezone.now())
    boss.refresh_from_db()
    assert boss.may_act


def test_the_superadmins_delete_button_leaves_no_trace_either() -> None:
    user = whole_user_make()
    browser = SiteClient("superadmin")
    browser.force_login(User.objects.get(email="boss@example.org"))
    gone = browser.post(f"/accounts/user/{user.pk}/delete/", {"post": "yes"})
    assert gone.status_code == 302, gone.content.decode()
    assert traces_left() == []


def test_every_app_that_keeps_something_of_users_answers_for_it() -> None:
    assert set(ports.account_data.all()) >= {"accounts", "chat", "instances"}
