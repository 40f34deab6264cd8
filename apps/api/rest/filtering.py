"""How lists under `/api/` are filtered."""

from datetime import UTC, datetime
from typing import Any

from django_filters import CharFilter
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import ValidationError


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
            for name, value in filterset.form.cleaned_data.items():
                _check_in_range(name, value)
        return filterset


def _check_in_range(name: str, value: object) -> None:
    """Refuse a moment that has no date in UTC, which no database takes."""
    try:
        if isinstance(value, datetime):
            value.astimezone(UTC)
    except OverflowError as error:
        raise ValidationError({name: ["This moment is out of range."]}) from error
