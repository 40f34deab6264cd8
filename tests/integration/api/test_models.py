"""`/v1/models` with what a catalog says: aliases, hidden and forbidden names."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from apps.router import ports
from apps.router.live.runtime import LiveRouter
from apps.router.ports import AliasEntry, AliasTargetEntry, CatalogNames, CatalogRouting
from tests.integration.api.rig import Instance, call


@dataclass
class Catalog:
    """Says what a test wants."""

    aliases: tuple[AliasEntry, ...] = ()
    forbidden: frozenset[str] = frozenset()
    hidden: frozenset[str] = field(default=frozenset())

    async def routing(self) -> CatalogRouting:
        return CatalogRouting(aliases=self.aliases, forbidden=self.forbidden)

    async def names(self) -> CatalogNames:
        return CatalogNames(routing=await self.routing(), hidden=self.hidden)


@pytest.fixture
def catalog(router: LiveRouter, monkeypatch: pytest.MonkeyPatch) -> Catalog:
    made = Catalog()
    monkeypatch.setattr(ports.model_catalog, "_object", made)
    return made


def alias(name: str, *targets: tuple[str, str | None]) -> AliasEntry:
    entries = [AliasTargetEntry(model_name=to, weight=1, revision=rev) for to, rev in targets]
    return AliasEntry(name=name, targets=tuple(entries))


async def listed() -> dict[str, Any]:
    """Return the list's bodies by id, after a look at each by itself."""
    data = (await call("GET", "/v1/models").end()).json()["data"]
    for body in data:
        assert (await call("GET", f"/v1/models/{body['id']}").end()).json() == body
    assert [body["id"] for body in data] == sorted(body["id"] for body in data)
    return {body["id"]: body for body in data}


async def status_of(name: str) -> tuple[int, str | None]:
    reply = await call("GET", f"/v1/models/{name}").end()
    return reply.status, None if reply.status == 200 else reply.error["code"]


async def test_an_alias_stands_beside_the_models(router: LiveRouter, catalog: Catalog) -> None:
    Instance(router, "one", model_name="phi-2", context_tokens=100, max_output_tokens=50)
    Instance(router, "two", model_name="phi-3", context_tokens=80, max_output_tokens=60)
    catalog.aliases = (alias("chat", ("phi-2", None), ("phi-3", None), ("phi-9", None)),)
    found = await listed()
    assert list(found) == ["chat", "phi-2", "phi-3"]
    body = found["chat"]
    assert (body["object"], body["owned_by"]) == ("model", "motherfluxer")
    assert (body["context_tokens"], body["max_output_tokens"]) == (80, 50)
    assert body["instances"] == 2


async def test_an_alias_is_listed_while_one_of_its_models_is_served(
    router: LiveRouter, catalog: Catalog
) -> None:
    catalog.aliases = (alias("chat", ("phi-2", None)),)
    assert await listed() == {}
    assert await status_of("chat") == (404, "model_not_found")
    instance = Instance(router, "one", model_name="phi-2")
    assert list(await listed()) == ["chat", "phi-2"]
    instance.leave()
    assert await listed() == {}


async def test_an_alias_for_a_revision_needs_that_revision(
    router: LiveRouter, catalog: Catalog
) -> None:
    catalog.aliases = (alias("next", ("phi-2", "r2")), alias("any", ("phi-2", None)))
    Instance(router, "one", model_name="phi-2", revision="r1")
    assert list(await listed()) == ["any", "phi-2"]
    Instance(router, "two", model_name="phi-2", revision="r2")
    assert list(await listed()) == ["any", "next", "phi-2"]


async def test_a_hidden_name_is_in_no_list_but_is_shown_to_who_knows_it(
    router: LiveRouter, catalog: Catalog
) -> None:
    Instance(router, "one", model_name="phi-2")
    catalog.aliases = (alias("chat", ("phi-2", None)), alias("beta", ("phi-2", None)))
    catalog.hidden = frozenset({"phi-2", "beta"})
    assert list(await listed()) == ["chat"]
    assert await status_of("phi-2") == (200, None)
    assert await status_of("beta") == (200, None)


async def test_a_forbidden_name_does_not_exist(router: LiveRouter, catalog: Catalog) -> None:
    Instance(router, "one", model_name="phi-2")
    catalog.forbidden = frozenset({"phi-2"})
    assert await listed() == {}
    assert await status_of("phi-2") == (404, "model_not_found")


async def test_an_alias_counts_before_a_model_of_its_name(
    router: LiveRouter, catalog: Catalog
) -> None:
    Instance(router, "one", model_name="chat", context_tokens=7)
    catalog.aliases = (alias("chat", ("phi-2", None)),)
    assert await listed() == {}
    Instance(router, "two", model_name="phi-2", context_tokens=100)
    assert (await listed())["chat"]["context_tokens"] == 100
