"""What several apps' `rest.py` are made of: fields that take no other type, and a filter."""

from typing import Any

import django_filters
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers


class TextField(serializers.CharField):
    """Text, and nothing that could be made text of."""

    def to_internal_value(self, data: Any) -> str:
        """Take a string. Raises ValidationError."""
        return super().to_internal_value(data) if isinstance(data, str) else self.fail("invalid")


class CountField(serializers.IntegerField):
    """A whole number, and nothing that could be made one of."""

    def to_internal_value(self, data: Any) -> int:
        """Take a number. Raises ValidationError."""
        is_whole = type(data) is int or (isinstance(data, float) and data.is_integer())
        return super().to_internal_value(int(data)) if is_whole else self.fail("invalid")


class FlagField(serializers.BooleanField):
    """True or false, and nothing that could be made one of them."""

    def to_internal_value(self, data: Any) -> bool:
        """Take one. Raises ValidationError."""
        return data if isinstance(data, bool) else self.fail("invalid", input=data)


class RevocableFilter(django_filters.FilterSet):  # type: ignore[misc]  # untyped
    """By name, and whether it was revoked."""

    name = django_filters.CharFilter("name")
    is_revoked = extend_schema_field(bool)(
        django_filters.TypedChoiceFilter(
            choices=[("true", "yes"), ("false", "no")],
            coerce="true".__eq__,
            field_name="revoked_at",
            lookup_expr="isnull",
            exclude=True,
        )
    )
