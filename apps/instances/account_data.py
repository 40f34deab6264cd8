"""Fills the router's `account_data`: an operator's credentials and instances."""

import json
from collections.abc import Iterator
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model, QuerySet

from apps.instances.models import Credential, KnownInstance

# Only a digest of a credential is kept, and it is nobody's to take along.
_LEFT_OUT = frozenset({"digest"})


class InstancesData:
    """Credentials, and the record of the instances that connected with them."""

    def export(self, user_id: int) -> Iterator[tuple[str, bytes]]:
        """Yield a file for each kind of which there is something."""
        mine = Credential.objects.filter(operator_id=user_id)
        known = KnownInstance.objects.filter(credential__operator_id=user_id)
        for name, rows in (("credentials", mine), ("instances", known)):
            if rows.exists():
                yield f"instances/{name}.json", _as_json(rows)

    def delete(self, user_id: int) -> None:
        """Delete them all; live links are cut by the router, which asks continually."""
        Credential.objects.filter(operator_id=user_id).delete()


def _as_json(rows: QuerySet[Any]) -> bytes:
    model: type[Model] = rows.model
    columns = [field.attname for field in model._meta.concrete_fields]
    found = rows.order_by("pk").values(*(name for name in columns if name not in _LEFT_OUT))
    return json.dumps(list(found), cls=DjangoJSONEncoder, indent=2, ensure_ascii=False).encode()
