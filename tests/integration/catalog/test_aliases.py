"""Aliases: what they may be, how they are set, and what the router is told of them."""

from collections.abc import AsyncIterator
from io import StringIO

import pytest
from asgiref.sync import sync_to_async
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connections

from apps.catalog import selectors, services
from apps.catalog.errors import AliasInvalidError, AliasUnknownError
from apps.catalog.models import Alias, AliasTarget, CatalogModel
from apps.catalog.services import TargetWish
from apps.router import ports
from apps.router.ports import AliasEntry, AliasTargetEntry, CatalogRouting

pytestmark = pytest.mark.django_db(transaction=True)

CANARY = (TargetWish(model_name="phi-2", weight=95), TargetWish(model_name="phi-3", weight=5))


class AnnouncingGate:
    """Knows the models that instances have announced."""

    async def known_models(self) -> frozenset[str]:
        return frozenset({"phi-2", "phi-3"})


@pytest.fixture(autouse=True)
async def _no_connection_left() -> AsyncIterator[None]:
    yield
    await sync_to_async(connections.close_all)()


@pytest.fixture
def announced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports.instance_gate, "_object", AnnouncingGate())


def set_alias(*arguments: str, **options: object) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("set_alias", *arguments, stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue()


async def test_the_router_is_told_of_aliases_and_what_is_forbidden() -> None:
    wishes = [*CANARY, TargetWish(model_name="phi-3", revision="r2", weight=0.5)]
    await sync_to_async(services.alias_set)(name="chat", targets=wishes)
    await CatalogModel.objects.acreate(name="bad", is_forbidden=True)
    assert await ports.model_catalog.get().routing() == CatalogRouting(
        aliases=(
            AliasEntry(
                name="chat",
                targets=(
                    AliasTargetEntry(model_name="phi-2", weight=95.0),
                    AliasTargetEntry(model_name="phi-3", weight=5.0),
                    AliasTargetEntry(model_name="phi-3", weight=0.5, revision="r2"),
                ),
            ),
        ),
        forbidden=frozenset({"bad"}),
    )


async def test_an_empty_catalog_tells_nothing() -> None:
    assert await ports.model_catalog.get().routing() == CatalogRouting()


def test_a_forbidden_model_gets_nothing_through_an_alias() -> None:
    alias = services.alias_set(name="chat", targets=CANARY)
    CatalogModel.objects.create(name="phi-2", is_forbidden=True)
    [entry] = selectors.routing().aliases
    assert [target.model_name for target in entry.targets] == ["phi-3"]
    assert [one.words for one in selectors.alias_shares(alias=alias)] == [
        "none: forbidden",
        "100 %",
    ]


def test_an_alias_that_leads_nowhere_is_no_alias_and_no_default() -> None:
    alias = services.alias_set(name="chat", targets=CANARY[:1])
    services.default_set(name=alias)
    assert selectors.names().default == "chat"
    CatalogModel.objects.create(name="phi-2", is_forbidden=True)
    assert selectors.routing().aliases == ()
    assert selectors.names().default is None


def test_a_forbidden_alias_is_switched_off() -> None:
    services.alias_set(name="chat", targets=CANARY)
    Alias.objects.update(is_forbidden=True)
    assert selectors.routing() == CatalogRouting(forbidden=frozenset({"chat"}))


def test_an_alias_or_a_model_can_be_the_default_but_only_one() -> None:
    model = CatalogModel.objects.create(name="phi-2", is_default=True)
    alias = services.alias_set(name="chat", targets=CANARY)
    former = services.default_set(name=alias)
    assert former is not None
    assert former.name == "phi-2"
    assert selectors.names().default == "chat"
    assert not CatalogModel.objects.get(pk=model.pk).is_default
    with pytest.raises(IntegrityError):
        CatalogModel.objects.filter(pk=model.pk).update(is_default=True)


def test_the_default_is_not_forbidden() -> None:
    with pytest.raises(IntegrityError):
        CatalogModel.objects.create(name="phi-2", is_default=True, is_forbidden=True)


def test_a_model_and_an_alias_never_share_a_name() -> None:
    services.alias_set(name="chat", targets=CANARY)
    with pytest.raises(IntegrityError):
        CatalogModel.objects.create(name="chat")


@pytest.mark.parametrize("weight", [0.0, -1.0, float("inf"), float("nan"), 2e6])
def test_a_weight_is_above_zero_and_finite(weight: float) -> None:
    with pytest.raises(AliasInvalidError, match="above 0"):
        services.alias_set(name="chat", targets=[TargetWish(model_name="phi-2", weight=weight)])
    assert not Alias.objects.exists()
    alias = services.alias_set(name="chat", targets=CANARY)
    with pytest.raises(IntegrityError):
        AliasTarget.objects.create(alias=alias, model_name="tiny", weight=weight)


@pytest.mark.usefixtures("announced")
@pytest.mark.parametrize(
    ("name", "targets", "words"),
    [
        ("phi-3", [TargetWish(model_name="tiny")], "announced a model named “phi-3”"),
        ("known", [TargetWish(model_name="phi-2")], "has this name already"),
        ("target", [TargetWish(model_name="phi-2")], "“chat” leads to a model named “target”"),
        ("new", [TargetWish(model_name="chat")], "“chat” is an alias itself"),
        ("new", [TargetWish(model_name="new")], "can't lead to itself"),
        ("new", [TargetWish(model_name="phi-2")] * 2, "is a target already"),
        ("new", [TargetWish(model_name="no name")], "begins with a letter or digit"),
        ("no name", [TargetWish(model_name="phi-2")], "begins with a letter or digit"),
        ("new", [], "at least one model"),
    ],
)
def test_what_an_alias_cannot_be(name: str, targets: list[TargetWish], words: str) -> None:
    CatalogModel.objects.create(name="known")
    services.alias_set(name="chat", targets=[TargetWish(model_name="target")])
    before = selectors.routing()
    with pytest.raises(AliasInvalidError, match=words):
        services.alias_set(name=name, targets=targets)
    assert selectors.routing() == before


def test_a_change_replaces_the_targets_and_keeps_the_rest() -> None:
    services.alias_set(name="chat", targets=CANARY, display_name="Chat", note="since May")
    changed = services.alias_set(name="chat", targets=CANARY[1:])
    assert (changed.display_name, changed.note) == ("Chat", "since May")
    assert [str(target) for target in changed.targets.all()] == ["phi-3"]
    services.alias_set(name="chat", display_name="Talk")
    assert selectors.names().display_names == {"chat": "Talk"}
    assert [str(target) for target in changed.targets.all()] == ["phi-3"]


def test_an_alias_is_deleted_with_its_targets() -> None:
    services.alias_set(name="chat", targets=CANARY)
    assert services.alias_delete(name="chat").name == "chat"
    assert selectors.routing() == CatalogRouting()
    assert not AliasTarget.objects.exists()
    with pytest.raises(AliasUnknownError, match="There is none yet"):
        services.alias_delete(name="chat")


@pytest.mark.usefixtures("announced")
def test_the_command_sets_changes_and_deletes_an_alias() -> None:
    assert set_alias("chat", "phi-2=95", "phi-3@r2=5") == ("chat: phi-2 95 %, phi-3@r2 5 %\n", "")
    assert set_alias("chat", "phi-2=2", "phi-9=1") == (
        "chat: phi-2 66.67 %, phi-9 33.33 %\n",
        "Note: no instance has announced phi-9 yet.\n",
    )
    services.default_set(name=Alias.objects.get())
    out, note = set_alias("chat", delete=True)
    assert out == "chat: deleted\n"
    assert "was the default" in note


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("chat",), "at least one model"),
        (("chat", "phi-2"), "Write it as phi-2=1"),
        (("chat", "phi-2=many"), "'many' in 'phi-2=many' is no number"),
        (("chat", "phi-2=0"), "above 0"),
        (("chat", "phi-2=1", "--delete"), "alone"),
        (("chat", "--delete"), "No alias is named 'chat'"),
    ],
)
def test_the_command_says_what_is_wrong(arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        set_alias(*arguments)
