"""The operators' site over HTTP: who gets in, what each sees, and what is shown once."""

import html
import io
import re
import tarfile
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone
from pytest_django import Settings

from apps.accounts import roles
from apps.accounts.models import User
from apps.instances import services
from apps.instances.models import Credential, KnownInstance
from apps.instances.package import package
from motherfluxer_wire.tokens import parse_token
from tests.clients import SiteClient

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


def _operator(email: str) -> User:
    user = User.objects.create_user(email, PASSWORD)
    roles.role_grant_operator(user=user)
    return user


@pytest.fixture
def operator() -> User:
    return _operator("op@example.org")


@pytest.fixture
def browser(operator: User) -> SiteClient:
    client = SiteClient("admin")
    client.force_login(operator)
    return client


@pytest.fixture
def foreign() -> Credential:
    credential, _ = services.credential_issue(
        operator_id=_operator("other@example.org").pk, name="foreign-box"
    )
    _record(credential, "foreign-gpu")
    return credential


def _record(credential: Credential, name: str, *, is_connected: bool = True) -> KnownInstance:
    services.instance_record(
        token_id=credential.token_id,
        name=name,
        agent="test/1",
        served_models=[{"name": "tiny"}],
        slots=4,
        region="",
        hardware=None,
    )
    KnownInstance.objects.filter(name=name).update(is_connected=is_connected)
    return KnownInstance.objects.get(name=name)


def _tokens(page: str) -> set[str]:
    found = re.findall(r"mfi_[0-9A-Za-z]{12}_[0-9A-Za-z]+", html.unescape(page))
    return {text for text in found if parse_token("mfi", text)}


def test_the_first_page_says_how_to_start(browser: SiteClient) -> None:
    page = html.unescape(browser.get("/").content.decode())
    assert "No instance has connected yet" in page
    assert "You have no credential yet" in page
    assert "--router http://localhost " in page
    assert package().sha256 in page


def test_a_credential_is_shown_in_one_response_and_kept_nowhere(
    browser: SiteClient, operator: User
) -> None:
    form = {"name": "gpu-1", "allowed_models": "tiny, phi-2", "expires_days": "7"}
    shown = browser.post("/instances/credential/add/", form)
    assert shown.status_code == 200
    assert "no-store" in shown.headers["Cache-Control"]
    tokens = _tokens(shown.content.decode())
    assert len(tokens) == 1
    credential = Credential.objects.get()
    token = parse_token("mfi", tokens.pop())
    assert token is not None
    assert (token.id, token.digest) == (credential.token_id, credential.digest)
    assert credential.operator_id == operator.pk
    assert credential.allowed_models == ["phi-2", "tiny"]
    assert credential.expires_at is not None
    for path in ["/", "/instances/credential/", f"/instances/credential/{credential.pk}/change/"]:
        page = browser.get(path).content.decode()
        assert credential.prefix in page
        assert not _tokens(page)
        assert credential.digest not in page
    again = browser.post("/instances/credential/add/", form)
    assert not _tokens(again.content.decode())
    assert "already has a credential named" in html.unescape(again.content.decode())
    assert not any(token.text in str(row) for row in LogEntry.objects.values())


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"name": ""}, "required"),
        ({"name": "mfi_x"}, "does not begin with mfi_"),
        ({"name": "x", "allowed_models": "ok, <b>"}, "“<b>” is not a model's name"),
        ({"name": "x", "expires_days": "0"}, "greater than or equal to 1"),
    ],
)
def test_a_wrong_form_is_answered_in_words(
    browser: SiteClient, form: dict[str, str], says: str
) -> None:
    page = browser.post("/instances/credential/add/", form).content.decode()
    assert says in html.unescape(page)
    assert not Credential.objects.exists()


def test_revoking_is_confirmed_and_logged(browser: SiteClient, operator: User) -> None:
    credential, _ = services.credential_issue(operator_id=operator.pk, name="gpu-1")
    _record(credential, "box")
    path = f"/instances/credential/{credential.pk}/revoke/"
    assert "1 connected instance will be cut off" in browser.get(path).content.decode()
    credential.refresh_from_db()
    assert credential.revoked_at is None
    browser.post(path)
    credential.refresh_from_db()
    assert credential.revoked_at is not None
    assert LogEntry.objects.get().get_change_message() == "Revoked."
    assert "was already revoked" in browser.get(path).content.decode()
    browser.post(path)
    assert LogEntry.objects.count() == 1


def test_rotating_revokes_the_old_one_and_keeps_its_settings(
    browser: SiteClient, operator: User
) -> None:
    expires_at = timezone.now() + timedelta(days=3)
    old, old_text = services.credential_issue(
        operator_id=operator.pk, name="gpu-1", allowed_models=["tiny"], expires_at=expires_at
    )
    shown = browser.post(f"/instances/credential/{old.pk}/rotate/")
    assert "no-store" in shown.headers["Cache-Control"]
    tokens = _tokens(shown.content.decode())
    assert len(tokens) == 1
    assert old_text not in tokens
    old.refresh_from_db()
    assert old.revoked_at is not None
    fresh = Credential.objects.get(revoked_at=None)
    assert (fresh.name, fresh.allowed_models, fresh.expires_at) == ("gpu-1", ["tiny"], expires_at)
    browser.post(f"/instances/credential/{old.pk}/rotate/")
    assert Credential.objects.filter(revoked_at=None).get() == fresh


def test_an_operator_sees_and_touches_only_his_own(
    browser: SiteClient, foreign: Credential
) -> None:
    for path in ["/", "/now.html", "/instances/credential/", "/instances/knowninstance/"]:
        page = browser.get(path).content.decode()
        assert "foreign" not in page, path
    for act in ("revoke", "rotate"):
        path = f"/instances/credential/{foreign.pk}/{act}/"
        assert browser.get(path).status_code == 404
        assert browser.post(path).status_code == 404
    assert browser.get(f"/instances/credential/{foreign.pk}/change/").status_code == 302
    assert browser.get(f"/instances/credential/{foreign.pk}/history/").status_code == 302
    foreign.refresh_from_db()
    assert foreign.revoked_at is None


@pytest.mark.parametrize("site", ["admin", "superadmin"])
def test_a_superadmin_sees_everybodys(site: str, foreign: Credential) -> None:
    client = SiteClient(site)
    client.force_login(User.objects.create_superuser("boss@example.org"))
    for path in ["/instances/credential/", "/instances/knowninstance/"]:
        page = client.get(path).content.decode()
        assert "foreign" in page
    assert client.get(f"/instances/credential/{foreign.pk}/change/").status_code == 200
    client.post(f"/instances/credential/{foreign.pk}/revoke/")
    foreign.refresh_from_db()
    assert foreign.revoked_at is not None


def test_nothing_is_deleted_or_edited(browser: SiteClient, operator: User) -> None:
    credential, _ = services.credential_issue(operator_id=operator.pk, name="gpu-1")
    assert browser.post(f"/instances/credential/{credential.pk}/delete/").status_code == 403
    change = f"/instances/credential/{credential.pk}/change/"
    assert browser.post(change, {"name": "other"}).status_code == 403
    credential.refresh_from_db()
    assert credential.name == "gpu-1"


def test_an_instances_own_words_are_only_text(browser: SiteClient, operator: User) -> None:
    credential, _ = services.credential_issue(operator_id=operator.pk, name="<script>a</script>")
    known = _record(credential, "box")
    KnownInstance.objects.update(agent="<script>b</script>", hardware={"gpu": "<script>c"})
    paths = ["/", "/now.html", "/instances/credential/", "/instances/knowninstance/"]
    for path in [*paths, f"/instances/knowninstance/{known.pk}/change/"]:
        page = browser.get(path).content.decode()
        assert re.search(r"<script>[abc]", page) is None, path


def test_the_record_says_who_is_connected(browser: SiteClient, operator: User) -> None:
    credential, _ = services.credential_issue(operator_id=operator.pk, name="gpu-1")
    _record(credential, "alive")
    _record(credential, "gone", is_connected=False)
    rows = re.findall(
        r'<th scope="row">(\w+)</th>\s*<td><span class="mf-state mf-state-(\w+)',
        browser.get("/now.html").content.decode(),
    )
    assert rows == [("alive", "healthy"), ("gone", "offline")]


def test_the_package_is_whole_reproducible_and_for_operators(
    browser: SiteClient, settings: Settings
) -> None:
    built = package()
    path = f"/download/{built.filename}"
    assert SiteClient("admin").get(path).status_code == 302
    assert browser.get("/download/motherfluxer-model-9.9.9.tar.gz").status_code == 404
    response = browser.get(path)
    assert response.content == built.content
    assert built.filename in response.headers["Content-Disposition"]
    with tarfile.open(fileobj=io.BytesIO(response.content)) as archive:
        names = archive.getnames()
    assert all(name.startswith(f"{built.folder}/") for name in names)
    inside = {name.removeprefix(f"{built.folder}/") for name in names}
    root = Path(settings.MODEL_CONTAINER_DIR)
    sources = {p.relative_to(root).as_posix() for p in (root / "src").rglob("*.py")}
    assert sources < inside
    assert {"pyproject.toml", "README.md", "LICENSE"} < inside
    assert {"Dockerfile", ".dockerignore", "docker-compose.yml", "model.env"} < inside
    assert not any("__pycache__" in name or name.startswith("tests/") for name in inside)


def test_without_the_sources_there_is_nothing_to_download(
    browser: SiteClient, settings: Settings, tmp_path: Path
) -> None:
    settings.MODEL_CONTAINER_DIR = tmp_path
    assert "no package to download" in browser.get("/").content.decode()
    assert browser.get("/download/motherfluxer-model-0.1.0.tar.gz").status_code == 404
