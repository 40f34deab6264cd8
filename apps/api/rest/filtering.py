"""How lists under `/api/` are filtered and ordered: strictly, as the schema says."""

from datetime import UTC, datetime
from typing import Any

from django_filters import CharFilter
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import ValidationError
from rest_framework.filters import OrderingFilter


class StrictFilterBackend(DjangoFilterBackend):  # type: ignore[misc]  # untyped
    """Refuses what the library lets through: filters without a value, moments out of range."""

    def get_filterset(self, request: Any, queryset: Any, view: Any) -> Any:
        """Return the filters with what they are asked for. Raises ValidationError."""
        filterset = super().get_filterset(request, queryset, view)
        if filterset is None:
            return None
        exact = [name for name, one in filterset.filters.items() if type(one) is not CharFilter]
        if empty := [name for name in exact if filterset.data.get(name) == ""]:
            raise ValidationError({name: ["This must not be empty."] for name in empty})
        if filterset.is_valid():
            asked = filterset.form.cleaned_data
            asked.update({name: _in_utc(name, value) for name, value in asked.items()})
        return filterset


class StrictOrderingFilter(OrderingFilter):
    """Refuses what a list cannot be ordered by, which the library leaves out."""

    def get_ordering(self, request: Any, queryset: Any, view: Any) -> Any:
        """Return what the list is ordered by. Raises ValidationError."""
        asked = request.query_params.get(self.ordering_param)
        if asked is None:
            return self.get_default_ordering(view)
        terms = asked.split(",")
        if not {term.removeprefix("-") for term in terms} <= set(view.ordering_fields):
            words = f"Any of {', '.join(view.ordering_fields)}; -name turns it round."
            raise ValidationError({self.ordering_param: [words]})
        return terms

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Describe the parameter by what it can be."""
        [found] = super().get_schema_operation_parameters(view)
        term = f"-?({'|'.join(view.ordering_fields)})"
        found["schema"]["pattern"] = f"^{term}(,{term})*$"
        return [found]


def _in_utc(name: str, value: object) -> object:
    """Return a moment as every database takes it: not all zones are known to PostgreSQL.

    Raises ValidationError for one that has no date in UTC.
    """
    try:
        return value.astimezone(UTC) if isinstance(value, datetime) else value
    except OverflowError as error:
        raise ValidationError({name: ["This moment is out of range."]}) from error
