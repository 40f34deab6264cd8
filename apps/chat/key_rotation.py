"""Encrypts stored texts anew with the first key, so that the older ones can be put away."""

from collections.abc import Iterator
from typing import Any, Final

from django.apps import apps
from django.db import models
from django.db.models import Q, TextField, Value
from django.db.models.functions import Cast

from apps.chat.fields import EncryptedTextField
from apps.field_keys import Rotation

_BATCH: Final = 500


def texts_rotate(done: Rotation) -> None:
    """Go through every encrypted column, beside a site that goes on writing."""
    for model in apps.get_models():
        for field in model._meta.local_concrete_fields:
            if isinstance(field, EncryptedTextField):
                for key, stored in _stored(model, field.name):
                    fresh = done.fresh(stored)
                    if fresh is not None:
                        done.renewed += _replace(model, field.name, key, stored, fresh)


def _replace(model: type[models.Model], name: str, key: Any, stored: str, fresh: str) -> int:
    """Write only over what was read: somebody may have written the row at this moment."""
    rows = _raw(model, name).filter(pk=key, stored=stored)
    return rows.update(**{name: Value(fresh, output_field=TextField())})


def _stored(model: type[models.Model], name: str) -> Iterator[tuple[Any, str]]:
    """Yield each row's key and what is stored, in the order of the keys."""
    after = Q()
    rows = _raw(model, name).exclude(stored=None).order_by("pk").values_list("pk", "stored")
    while batch := list(rows.filter(after)[:_BATCH]):
        yield from batch
        after = Q(pk__gt=batch[-1][0])


def _raw(model: type[models.Model], name: str) -> models.QuerySet[Any]:
    """Return rows with the column as it is stored; the field itself would decrypt it."""
    return model._default_manager.annotate(stored=Cast(name, TextField()))
