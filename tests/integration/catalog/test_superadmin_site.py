"""The catalog's pages on the superadmin's site."""

import html
import re
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone
from msgspec.structs import replace

from apps.catalog import selectors, services
from apps.catalog.models import Alias, CatalogModel
from apps.catalog.services import TargetWish
from apps.router import ports
from apps.router.records.entries import Recorded
from apps.router.records.services import log_append
from tests.clients import SiteClient
from tests.unit.router.records.samples import decision

pytestmark = pytest.mark.django_db

MODELS = "/catalog/catalogmodel/"
ALIASES = "/catalog/alias/"


class AnnouncingGate:
    """Knows the models that instances have announced."""

    async def known_models(self) -> frozenset[str]:
        return frozenset({"phi-2", "org/phi-3"})


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> SiteClient:
    monkeypatch.setattr(ports.instance_gate, "_object", AnnouncingGate())
    client = SiteClient("superadmin")
    client.force_login(get_user_model().objects.create_superuser("boss@example.org", "x"))
    return client


def alias_form(name: str, *targets: tuple[str, str, str], kept: int = 0) -> dict[str, Any]:
    form: dict[str, Any] = {"name": name, "display_name": "", "note": ""}
    form |= {"targets-TOTAL_FORMS": len(targets), "targets-INITIAL_FORMS": kept}
    for number, (model_name, revision, weight) in enumerate(targets):
        at = f"targets-{number}"
        form |= {f"{at}-model_name": model_name, f"{at}-weight": weight}
        form |= {f"{at}-revision": revision}
    return form


def page(browser: SiteClient, path: str) -> str:
    response = browser.get(path)
    assert response.status_code == 200
    return html.unescape(response.content.decode())


def refusal(browser: SiteClient, path: str, form: dict[str, Any]) -> str:
    """Send a form that is refused; return the words of its errors."""
    response = browser.post(path, form)
    assert response.status_code == 200
    lists = re.findall(r'class="errorlist.*?</ul>', response.content.decode(), re.DOTALL)
    return html.unescape(" ".join(lists))


def test_empty_lists_say_what_they_are_for(browser: SiteClient) -> None:
    assert "There is no alias yet" in page(browser, ALIASES)
    models = page(browser, MODELS)
    assert "can be used at once under its own name" in models
    assert f"{MODELS}add/?name=org%2Fphi-3" in models


def test_an_announced_model_is_added_by_its_link(browser: SiteClient) -> None:
    form = page(browser, f"{MODELS}add/?name=org%2Fphi-3")
    assert 'value="org/phi-3"' in form
    assert '<option value="phi-2">' in form
    browser.post(f"{MODELS}add/", {"name": "org/phi-3", "display_name": "Phi 3"})
    models = page(browser, MODELS)
    assert "Phi 3" in models
    assert "add/?name=org" not in models
    assert "add/?name=phi-2" in models


def test_an_alias_shows_the_shares_of_its_targets(browser: SiteClient) -> None:
    form = alias_form("chat", ("phi-2", "", "95"), ("org/phi-3", "r2", "5"))
    assert browser.post(f"{ALIASES}add/", form).status_code == 302
    shown = page(browser, ALIASES)
    assert "phi-2 <b>95 %</b>" in shown
    assert "org/phi-3@r2 <b>5 %</b>" in shown
    alias = Alias.objects.get()
    change = page(browser, f"{ALIASES}{alias.pk}/change/")
    assert "95 %" in change
    assert 'value="95"' in change
    CatalogModel.objects.create(name="phi-2", is_forbidden=True)
    assert "phi-2 <b>none: forbidden</b>" in page(browser, ALIASES)
    assert "mf-state-forbidden" in page(browser, MODELS)


def test_an_alias_tells_where_its_requests_went(browser: SiteClient) -> None:
    alias = services.alias_set(name="chat", targets=[TargetWish(model_name="phi-2")])
    assert "nobody has asked for it" in page(browser, f"{ALIASES}{alias.pk}/change/")
    first = replace(decision("j"), asked_model="chat", model_name="phi-2", revision="r1")
    other = replace(first, model_name="phi-3", revision="")
    now = timezone.now()
    log_append(recorded=[Recorded(now, made) for made in [first] * 3 + [other]])
    shown = page(browser, f"{ALIASES}{alias.pk}/change/")
    assert "newest 4 requests" in shown
    assert "<b>75 %</b> (3) to phi-2@r1, <b>25 %</b> (1) to phi-3." in shown


def test_shares_are_measured_anew_after_a_change_of_targets(browser: SiteClient) -> None:
    alias = services.alias_set(name="chat", targets=[TargetWish(model_name="phi-2")])
    made = replace(decision("j"), asked_model="chat", model_name="phi-2")
    log_append(recorded=[Recorded(timezone.now(), made)])
    path = f"{ALIASES}{alias.pk}/change/"
    form = alias_form("chat", ("phi-2", "", "1"), kept=1) | {"display_name": "Chat"}
    form |= {"targets-0-id": alias.targets.get().pk, "targets-0-alias": alias.pk}
    browser.post(path, form)
    assert "newest 1 request for it went" in page(browser, path)
    browser.post(path, form | {"targets-0-weight": "2"})
    assert "nobody has asked for it" in page(browser, path)


def test_a_canary_is_moved_on(browser: SiteClient) -> None:
    canary = [TargetWish(model_name="phi-2", weight=95), TargetWish(model_name="phi-3", weight=5)]
    alias = services.alias_set(name="chat", targets=canary)
    form = alias_form("chat", ("phi-2", "", "50"), ("phi-3", "", "50"), kept=2)
    empty = {"model_name": "", "revision": "", "weight": "1"}
    form |= {f"targets-2-{field}": value for field, value in empty.items()}
    form["targets-TOTAL_FORMS"] = 3
    for number, target in enumerate(alias.targets.all()):
        form |= {f"targets-{number}-id": target.pk, f"targets-{number}-alias": alias.pk}
    assert browser.post(f"{ALIASES}{alias.pk}/change/", form).status_code == 302
    assert [one.words for one in selectors.alias_shares(alias=alias)] == ["50 %", "50 %"]
    form["targets-0-DELETE"] = "on"
    assert browser.post(f"{ALIASES}{alias.pk}/change/", form).status_code == 302
    assert [str(target) for target in alias.targets.all()] == ["phi-3"]
    form = alias_form("chat", ("phi-3", "", "50"), kept=1) | {"targets-0-DELETE": "on"}
    form |= {"targets-0-id": alias.targets.get().pk, "targets-0-alias": alias.pk}
    words = refusal(browser, f"{ALIASES}{alias.pk}/change/", form)
    assert "at least one model" in words


@pytest.mark.parametrize(
    ("name", "targets", "words"),
    [
        ("new", [], "at least one model"),
        ("phi-2", [("tiny", "", "1")], "announced a model named “phi-2”"),
        ("known", [("tiny", "", "1")], "has this name already"),
        ("old", [("tiny", "", "1")], "has this name already"),
        ("new", [("old", "", "1")], "“old” is an alias itself"),
        ("new", [("new", "", "1")], "can't lead to itself"),
        ("new", [("tiny", "", "0")], "above 0"),
        ("new", [("tiny", "", "-1")], "above 0"),
        ("new", [("tiny", "", "nan")], "Enter a number"),
        ("new", [("tiny", "", "1"), ("tiny", "", "2")], "keep one line"),
        ("no name", [("tiny", "", "1")], "begins with a letter or digit"),
    ],
)
def test_what_an_alias_cannot_be(
    browser: SiteClient, name: str, targets: list[tuple[str, str, str]], words: str
) -> None:
    CatalogModel.objects.create(name="known")
    services.alias_set(name="old", targets=[TargetWish(model_name="target")])
    assert words in refusal(browser, f"{ALIASES}add/", alias_form(name, *targets))
    assert [alias.name for alias in Alias.objects.all()] == ["old"]


def test_a_second_default_takes_the_place_of_the_first(browser: SiteClient) -> None:
    CatalogModel.objects.create(name="tiny", is_default=True)
    form = alias_form("chat", ("phi-2", "", "1")) | {"is_default": "on"}
    response = browser.post(f"{ALIASES}add/", form, follow=True)
    assert "in place of “tiny”" in html.unescape(response.content.decode())
    assert selectors.names().default == "chat"
    alias = Alias.objects.get()
    form = alias_form("chat", ("phi-2", "", "1"), kept=1)
    form |= {"targets-0-id": alias.targets.get().pk, "targets-0-alias": alias.pk}
    response = browser.post(f"{ALIASES}{alias.pk}/change/", form, follow=True)
    assert "There is no default now" in response.content.decode()
    assert selectors.names().default is None


def test_the_default_is_not_forbidden(browser: SiteClient) -> None:
    both = {"name": "tiny", "is_default": "on", "is_forbidden": "on"}
    assert "another model or alias the default first" in refusal(browser, f"{MODELS}add/", both)


def test_a_model_with_an_aliases_name_is_refused(browser: SiteClient) -> None:
    services.alias_set(name="chat", targets=[TargetWish(model_name="phi-2")])
    assert "has this name already" in refusal(browser, f"{MODELS}add/", {"name": "chat"})
