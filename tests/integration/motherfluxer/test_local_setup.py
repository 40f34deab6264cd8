"""What a start prepares is prepared once, whatever the first accounts have become since."""

from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django import Settings

from apps.accounts import roles
from apps.accounts.models import User
from apps.instances.models import Credential
from motherfluxer.local_setup import credential_ensure
from motherfluxer_wire.tokens import INSTANCE_PREFIX, parse_token

pytestmark = pytest.mark.django_db


@pytest.fixture
def path(settings: Settings, tmp_path: Path) -> Path:
    """Make the first accounts, and say where the credential is to be."""
    settings.VAR_DIR = tmp_path
    call_command("first_run")
    return tmp_path / "credential"


def owner_of(path: Path) -> str:
    """Tell whose credential the file holds, which has to be a live one."""
    credential_ensure(path=path, name="own")
    kept = parse_token(INSTANCE_PREFIX, path.read_text().strip())
    assert kept is not None
    credential = Credential.objects.get(token_id=kept.id, revoked_at=None)
    return credential.operator.email.partition("@")[0]


def test_a_credential_is_made_once(path: Path) -> None:
    assert owner_of(path) == "operator"
    kept = path.read_text()
    assert owner_of(path) == "operator"
    assert path.read_text() == kept


def test_a_revoked_one_is_followed_by_another(path: Path) -> None:
    owner_of(path)
    kept = path.read_text()
    Credential.objects.all().delete()
    assert owner_of(path) == "operator"
    assert path.read_text() != kept


def test_an_operator_under_another_name_keeps_it(path: Path) -> None:
    owner_of(path)
    kept = path.read_text()
    User.objects.filter(email__startswith="operator@").update(email="ada@example.org")
    call_command("first_run")
    assert owner_of(path) == "ada"
    assert path.read_text() == kept
    assert User.objects.count() == 2


@pytest.mark.parametrize("is_gone", [True, False])
def test_another_operator_has_it_where_the_first_is_none(path: Path, *, is_gone: bool) -> None:
    owner_of(path)
    operator = User.objects.get(email__startswith="operator@")
    if is_gone:
        operator.delete()
    else:
        roles.role_revoke_operator(user=operator)
    call_command("first_run")
    assert owner_of(path) == "superadmin"
