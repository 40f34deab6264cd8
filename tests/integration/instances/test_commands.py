"""`issue_credential` and `revoke_credential`, as typed at a prompt."""

from io import StringIO

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command

from apps.instances.models import Credential
from motherfluxer_wire.tokens import parse_token

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def operator_id() -> int:
    user = get_user_model().objects.create_user("op@example.org")
    user.groups.add(Group.objects.get_or_create(name="operators")[0])
    return user.pk


def _issue(*arguments: str, operator: str = "op@example.org", name: str = "gpu-1") -> str:
    out = StringIO()
    call_command("issue_credential", "--operator", operator, "--name", name, *arguments, stdout=out)
    return out.getvalue()


def _revoke(wanted: str) -> str:
    out = StringIO()
    call_command("revoke_credential", wanted, stdout=out)
    return out.getvalue()


def test_issue_prints_the_credential_and_nothing_else() -> None:
    text = _issue("--models", "b, a,", "--expires-days", "3", operator="OP@Example.org")
    token = parse_token("mfi", text.removesuffix("\n"))
    assert token is not None
    credential = Credential.objects.get()
    assert credential.token_id == token.id
    assert credential.digest == token.digest
    assert credential.allowed_models == ["a", "b"]
    assert credential.expires_at is not None
    assert text.strip() not in str(Credential.objects.values())


@pytest.mark.parametrize(
    ("operator", "name", "says"),
    [
        ("who@example.org", "x", "No user 'who@example.org'"),
        ("user@example.org", "x", "not an active operator"),
        ("op@example.org", "gpu-1", "already has a credential named 'gpu-1'"),
        ("op@example.org", "mfi_x", "does not begin with mfi_"),
        ("op@example.org", "", "A name is one line"),
        ("op@example.org", "x" * 65, "at most 64"),
    ],
)
def test_issue_says_in_words_what_is_wrong(operator: str, name: str, says: str) -> None:
    get_user_model().objects.create_user("user@example.org")
    _issue()
    with pytest.raises(CommandError, match=says):
        _issue(operator=operator, name=name)


@pytest.mark.parametrize("days", ["0", "-1", "99999999"])
def test_issue_refuses_a_senseless_expiry(days: str) -> None:
    with pytest.raises(CommandError, match="number of days"):
        _issue("--expires-days", days)


def test_revoke_by_name_prefix_and_whole_credential() -> None:
    texts = [_issue(name=f"gpu-{n}").strip() for n in range(3)]
    assert "Revoked gpu-0" in _revoke("gpu-0")
    assert "Revoked gpu-1" in _revoke(texts[1][:16])
    assert "Revoked gpu-2" in _revoke(texts[2])
    assert not Credential.objects.filter(revoked_at=None).exists()


def test_revoke_says_so_when_it_was_done_before_and_the_name_is_free_again() -> None:
    _issue()
    _revoke("gpu-1")
    assert "already revoked" in _revoke("gpu-1")
    _issue()
    assert "Revoked" in _revoke("gpu-1")


def test_revoke_lists_the_candidates_of_an_ambiguous_name() -> None:
    boss = get_user_model().objects.create_superuser("boss@example.org")
    _issue()
    _issue(operator=boss.email)
    with pytest.raises(CommandError) as caught:
        _revoke("gpu-1")
    for credential in Credential.objects.all():
        assert credential.prefix in str(caught.value)


@pytest.mark.parametrize("wanted", ["nobody", "mfi_", "mfi_nobody", ""])
def test_revoke_of_nothing_known_is_an_error(wanted: str) -> None:
    _issue()
    with pytest.raises(CommandError, match="No credential is named"):
        _revoke(wanted)
