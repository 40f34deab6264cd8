"""Which tables belong to a user, found by walking the foreign keys of every installed app."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db.models import CASCADE, ForeignKey, Model, QuerySet


@dataclass(frozen=True, slots=True)
class Reached:
    """A table whose rows belong to users. `lookup`: the way from a row to its user's number."""

    model: type[Model]
    lookup: str

    def rows(self, user_id: int) -> QuerySet[Model]:
        """Return the rows of one user."""
        return self.model._base_manager.filter(**{self.lookup: user_id})


def tables_of_users() -> list[Reached]:
    """Return every table whose rows go when a user goes, nearest first; the user's own left out.

    A row that only mentions a user, and stays without the mention, does not belong to that user.
    """
    found: list[Reached] = []
    known: dict[type[Model], set[str]] = {get_user_model(): {"pk"}}
    nearest: list[type[Model]] = [get_user_model()]
    while nearest:
        further: list[type[Model]] = []
        for model in apps.get_models(include_auto_created=True):
            for lookup in _lookups(model, known, nearest):
                if model not in known:
                    further.append(model)
                known.setdefault(model, set()).add(lookup)
                found.append(Reached(model, lookup))
        nearest = further
    return found


def _lookups(
    model: type[Model], known: dict[type[Model], set[str]], nearest: list[type[Model]]
) -> Iterator[str]:
    for field in _owning_fields(model):
        if field.related_model in nearest and model is not get_user_model():
            for lookup in sorted(known[field.related_model]):
                yield f"{field.name}__{lookup}"


def _owning_fields(model: type[Model]) -> Iterator[Any]:
    for field in model._meta.get_fields():
        if isinstance(field, ForeignKey) and field.remote_field.on_delete is CASCADE:
            yield field
