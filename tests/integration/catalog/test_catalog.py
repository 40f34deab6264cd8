"""The default model."""

from collections.abc import AsyncIterator

import pytest
from asgiref.sync import sync_to_async
from django.db import IntegrityError, connections

from apps.catalog.models import CatalogModel
from apps.router import ports

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
async def _no_connection_left() -> AsyncIterator[None]:
    yield
    await sync_to_async(connections.close_all)()


async def test_without_a_default_any_model_will_do() -> None:
    await CatalogModel.objects.acreate(name="tiny")
    assert (await ports.model_catalog.get().names()).default is None


async def test_default_and_display_names_are_told() -> None:
    await CatalogModel.objects.acreate(name="phi-2", display_name="Phi 2", is_default=True)
    await CatalogModel.objects.acreate(name="tiny")
    names = await ports.model_catalog.get().names()
    assert (names.default, names.display_names) == ("phi-2", {"phi-2": "Phi 2"})


async def test_hidden_names_are_told() -> None:
    await CatalogModel.objects.acreate(name="tiny", is_hidden=True)
    await CatalogModel.objects.acreate(name="phi-2")
    assert (await ports.model_catalog.get().names()).hidden == {"tiny"}


def test_two_defaults_are_refused() -> None:
    CatalogModel.objects.create(name="one", is_default=True)
    with pytest.raises(IntegrityError):
        CatalogModel.objects.create(name="two", is_default=True)
