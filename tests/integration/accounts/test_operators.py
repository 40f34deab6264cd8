"""Becoming an operator: by application, by invitation; and being none any more."""

import re
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.utils import timezone

from apps.accounts import roles
from apps.accounts.errors import ApplicationDecidedError, InvitationInvalidError
from apps.accounts.models import OperatorApplication, OperatorInvitation, User
from apps.accounts.operators import services
from apps.accounts.roles import Role, role_of
from apps.instances.selectors import tokens_ended
from apps.instances.services import credential_issue
from tests.clients import SiteClient

pytestmark = pytest.mark.django_db
ADDRESS = "applicant@example.org"
ANSWERS = {"what": "Phi on an old gaming PC", "why": "It stands idle."}
LIST = "/accounts/operatorapplication/"


@pytest.fixture
def applicant() -> User:
    user = User.objects.create_user(ADDRESS)
    EmailAddress.objects.create(user=user, email=ADDRESS, verified=True, primary=True)
    return user


@pytest.fixture
def browser(applicant: User) -> SiteClient:
    """The applicant's browser."""
    client = SiteClient("user")
    client.force_login(applicant)
    return client


@pytest.fixture
def boss() -> SiteClient:
    """A superadmin's browser."""
    client = SiteClient("superadmin")
    client.force_login(User.objects.create_superuser("boss@example.org"))
    return client


def _page(browser: SiteClient) -> str:
    return browser.get("/account/operator/").content.decode()


def _is_let_in(user: User) -> bool:
    client = SiteClient("admin")
    client.force_login(user)
    return client.get("/").status_code == 200


def _apply(browser: SiteClient) -> OperatorApplication:
    assert browser.post("/account/operator/", ANSWERS).status_code == 302
    return OperatorApplication.objects.latest("created_at")


def test_an_application_is_shown_as_waiting_and_every_superadmin_hears_of_it(
    boss: SiteClient, browser: SiteClient
) -> None:
    made = _apply(browser)
    page = _page(browser)
    assert "is waiting" in page
    assert ANSWERS["what"] in page
    [message] = mail.outbox
    assert message.to == ["boss@example.org"]
    link = re.search(r"http://superadmin\.motherfluxer\.localhost(/\S+)", str(message.body))
    assert link is not None
    shown = boss.get(link[1]).content.decode()
    assert ANSWERS["why"] in shown
    assert f'value="{made.pk}"' in shown


def test_approved_the_applicant_hears_of_it_and_is_let_in(
    boss: SiteClient, browser: SiteClient, applicant: User
) -> None:
    assert not _is_let_in(applicant)
    made = _apply(browser)
    mail.outbox.clear()
    boss.post(LIST, {"action": "approve", "_selected_action": [made.pk]})
    assert _is_let_in(User.objects.get(pk=applicant.pk))
    assert "You are an operator" in _page(browser)
    [message] = mail.outbox
    assert message.to == [ADDRESS]
    assert "http://admin.motherfluxer.localhost/" in str(message.body)
    assert "text/html" in str(getattr(message, "alternatives", ""))
    entry = LogEntry.objects.get()
    assert (entry.get_change_message(), entry.user.email) == ("Approved.", "boss@example.org")


def test_refused_with_a_word_which_is_mailed_and_shown_and_may_apply_again(
    boss: SiteClient, browser: SiteClient, applicant: User
) -> None:
    made = _apply(browser)
    mail.outbox.clear()
    chosen = {"action": "refuse", "_selected_action": [made.pk]}
    asked = boss.post(LIST, chosen)
    assert "A word to the applicants" in asked.content.decode()
    made.refresh_from_db()
    assert made.state == "waiting"
    assert boss.post(LIST, {**chosen, "word": "Your link is too slow."}).status_code == 302
    [message] = mail.outbox
    assert "Your link is too slow." in str(message.body)
    page = _page(browser)
    assert "was refused" in page
    assert "Your link is too slow." in page
    assert not _is_let_in(applicant)
    assert _apply(browser).state == "waiting"


def test_what_an_applicant_types_is_only_text(browser: SiteClient, boss: SiteClient) -> None:
    browser.post("/account/operator/", {**ANSWERS, "what": "<script>alert(1)</script>"})
    assert "<script>alert" not in _page(browser)
    assert "<script>alert" not in boss.get(LIST).content.decode()


@pytest.mark.parametrize("answers", [{}, {"what": "x"}, {"what": "x" * 1001, "why": "y"}])
def test_an_application_without_its_answers_is_none(
    browser: SiteClient, answers: dict[str, str]
) -> None:
    assert browser.post("/account/operator/", answers).status_code == 400
    assert not OperatorApplication.objects.exists()


def test_one_application_at_a_time_and_decided_once(browser: SiteClient, applicant: User) -> None:
    made = _apply(browser)
    browser.post("/account/operator/", ANSWERS)
    assert OperatorApplication.objects.count() == 1
    boss = User.objects.create_superuser("boss@example.org")
    now = timezone.now()
    services.application_refuse(application_id=made.pk, by=boss, now=now, word="No.")
    with pytest.raises(ApplicationDecidedError):
        services.application_approve(application_id=made.pk, by=boss, now=now)
    assert not User.objects.get(pk=applicant.pk).is_operator


def _invite(boss: SiteClient, email: str = ADDRESS) -> str:
    """Invite as a superadmin does; return the path of the link in the mail."""
    mail.outbox.clear()
    sent = boss.post("/accounts/operatorinvitation/add/", {"email": email})
    assert sent.status_code == 302, sent.content.decode()
    [message] = mail.outbox
    assert message.to == [email.lower()]
    link = re.search(r"http://user\.motherfluxer\.localhost(/\S+)", str(message.body))
    assert link is not None
    return link[1]


def test_who_is_invited_accepts_by_the_link_in_the_mail(
    boss: SiteClient, browser: SiteClient, applicant: User
) -> None:
    path = _invite(boss, "Applicant@Example.org")
    assert "Become an operator" in browser.get(path).content.decode()
    assert not User.objects.get(pk=applicant.pk).is_operator
    browser.post(path)
    assert _is_let_in(User.objects.get(pk=applicant.pk))
    roles.role_revoke_operator(user=applicant)
    assert browser.post(path).status_code == 410
    assert not User.objects.get(pk=applicant.pk).is_operator
    assert LogEntry.objects.filter(user__email="boss@example.org").count() == 1


def test_an_invitation_leads_through_sign_in(boss: SiteClient) -> None:
    path = _invite(boss)
    asked = SiteClient("user").get(path)
    assert asked.headers["Location"] == f"/accounts/login/?next={path.replace(':', '%3A')}"


@pytest.mark.parametrize("is_verified", [True, False])
def test_an_invitation_is_for_the_invited_address_alone_and_only_verified(
    boss: SiteClient, is_verified: bool
) -> None:
    path = _invite(boss, "invited@example.org")
    user = User.objects.create_user("other@example.org")
    if not is_verified:
        EmailAddress.objects.create(user=user, email="invited@example.org", verified=False)
    client = SiteClient("user")
    client.force_login(user)
    assert client.post(path).status_code == 403
    assert not User.objects.get(pk=user.pk).is_operator


def test_an_invitation_ends_by_age_by_withdrawal_and_by_a_changed_letter(
    boss: SiteClient, browser: SiteClient
) -> None:
    path = _invite(boss)
    assert browser.get(path[:-2] + ("a/" if path[-2] != "a" else "b/")).status_code == 410
    invitation = OperatorInvitation.objects.get()
    token = services.invitation_token(invitation=invitation)
    with pytest.raises(InvitationInvalidError):
        services.invitation_of_token(token=token, now=timezone.now() + timedelta(days=7))
    chosen = {"action": "withdraw", "_selected_action": [invitation.pk]}
    boss.post("/accounts/operatorinvitation/", chosen)
    assert browser.get(path).status_code == 410


def test_an_invitation_that_nobody_accepted_is_forgotten(boss: SiteClient) -> None:
    _invite(boss)
    now = timezone.now()
    assert services.invitations_forget_old(now=now + timedelta(days=89)) == 0
    assert services.invitations_forget_old(now=now + timedelta(days=91)) == 1


def test_an_operator_is_not_invited(boss: SiteClient, applicant: User) -> None:
    roles.role_grant_operator(user=applicant)
    page = boss.post("/accounts/operatorinvitation/add/", {"email": ADDRESS})
    assert "is an operator already" in page.content.decode()
    assert not OperatorInvitation.objects.exists()


def test_who_loses_the_role_loses_the_instances_and_the_site(
    boss: SiteClient, applicant: User
) -> None:
    roles.role_grant_operator(user=applicant)
    credential, _ = credential_issue(operator_id=applicant.pk, name="x")
    boss.post("/accounts/user/", {"action": "revoke_operator", "_selected_action": [applicant.pk]})
    tokens = frozenset({credential.token_id})
    assert tokens_ended(token_ids=tokens) == tokens
    assert not _is_let_in(User.objects.get(pk=applicant.pk))
    assert "Took the operator's role away." in LogEntry.objects.get().get_change_message()


@pytest.mark.parametrize(
    "path",
    [
        LIST,
        f"{LIST}{{application}}/change/",
        "/accounts/operatorinvitation/",
        "/accounts/operatorinvitation/add/",
        "/accounts/user/",
    ],
)
def test_every_page_of_the_superadmins_opens(
    boss: SiteClient, browser: SiteClient, path: str
) -> None:
    made = _apply(browser)
    _invite(boss)
    assert boss.get(path.format(application=made.pk)).status_code == 200


def test_a_role_is_told_in_one_place(applicant: User) -> None:
    assert role_of(user=applicant) is Role.REGISTERED
    roles.role_grant_operator(user=applicant)
    assert role_of(user=applicant) is Role.OPERATOR
    assert role_of(user=User.objects.create_superuser("b@example.org")) is Role.SUPERADMIN
    applicant.is_active = False
    assert role_of(user=applicant) is Role.NONE
