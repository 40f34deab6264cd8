"""What stood in the catalog before there were aliases is there afterwards, and back again."""

from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import connection

from apps.catalog import services
from apps.catalog.models import CatalogModel
from apps.catalog.services import TargetWish

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def _before_aliases() -> Iterator[None]:
    call_command("migrate", "catalog", "0001", verbosity=0)
    try:
        yield
    finally:
        call_command("migrate", "catalog", verbosity=0)


@pytest.mark.usefixtures("_before_aliases")
def test_models_are_kept_both_ways() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO catalog_catalogmodel (name, display_name, is_default)"
            " VALUES ('phi-2', 'Phi 2', %s), ('tiny', '', %s)",
            [True, False],
        )
    call_command("migrate", "catalog", verbosity=0)
    rows = CatalogModel.objects.values_list("name", "display_name", "is_default")
    assert list(rows) == [("phi-2", "Phi 2", True), ("tiny", "", False)]
    services.alias_set(name="chat", targets=[TargetWish(model_name="phi-2")])
    call_command("migrate", "catalog", "0001", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM catalog_catalogmodel ORDER BY name")
        assert [row[0] for row in cursor.fetchall()] == ["phi-2", "tiny"]
