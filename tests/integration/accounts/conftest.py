"""What the tests of accounts share: a user whose sign-in is fresh or old, models to choose from."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache

from apps.accounts.models import User
from apps.router import ports
from apps.router.ports import AliasEntry, AliasTargetEntry, CatalogNames, CatalogRouting
from tests.clients import SiteClient

PASSWORD = "a long password"


class KnownModels:
    """Knows which models were announced."""

    async def known_models(self) -> frozenset[str]:
        """Return two."""
        return frozenset({"lab/a", "lab/b", "lab/secret"})


class SmallCatalog:
    """Names one model for people, hides another, and has an alias."""

    async def names(self) -> CatalogNames:
        """Return them."""
        alias = AliasEntry(name="any", targets=(AliasTargetEntry(model_name="lab/a", weight=1),))
        return CatalogNames(
            routing=CatalogRouting(aliases=(alias,)),
            display_names={"lab/b": "The Great B"},
            hidden=frozenset({"lab/secret"}),
        )


@pytest.fixture(autouse=True)
def no_attempts_counted() -> Iterator[None]:
    """Begin with rate limits that nobody has used, and leave none behind."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have three models known, one of them hidden, and an alias."""
    monkeypatch.setattr(ports.instance_gate, "_object", KnownModels())
    monkeypatch.setattr(ports.model_catalog, "_object", SmallCatalog())


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("reader@example.org", PASSWORD)


@pytest.fixture
def old_browser(user: User) -> SiteClient:
    """A browser whose sign-in was long ago."""
    client = SiteClient("user")
    client.force_login(user)
    return client


@pytest.fixture
def browser(old_browser: SiteClient) -> SiteClient:
    """A browser whose user has just given the password."""
    confirm(old_browser, "/keys/")
    return old_browser


def confirm(client: SiteClient, then: str, **more: Any) -> Any:
    """Give the password again, as the page asks for it."""
    path = f"/accounts/reauthenticate/?next={then}"
    return client.post(path, {"password": PASSWORD, "next": then}, **more)
