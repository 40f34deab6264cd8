"""What a user's API keys used, under `/api/`."""

from typing import Any, cast

import django_filters
from django.db.models import QuerySet
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from rest_framework import mixins, serializers, viewsets

from apps.accounts.usage import selectors
from apps.accounts.usage.models import KeyUsage


class UsageSerializer(serializers.ModelSerializer[KeyUsage]):
    """What one key used of one model on one day (UTC)."""

    key = serializers.CharField(source="api_key.token_id", help_text="The key's id.")
    key_name = serializers.CharField(source="api_key.name")
    model = serializers.CharField(source="model_name")

    class Meta:
        """Figures alone."""

        model = KeyUsage
        fields = (
            *("day", "key", "key_name", "model", "requests"),
            *("prompt_tokens", "completion_tokens"),
        )


class UsageFilter(django_filters.FilterSet):  # type: ignore[misc]  # untyped
    """By day, key and model."""

    day_from = django_filters.DateFilter("day", "gte")
    day_until = django_filters.DateFilter("day", "lte")
    key = django_filters.CharFilter("api_key__token_id")
    model = django_filters.CharFilter("model_name")


@method_decorator(never_cache, name="dispatch")
class UsageViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[Any]):
    """What your keys used, by day and model."""

    serializer_class = UsageSerializer
    filterset_class = UsageFilter
    ordering_fields = ("day",)
    ordering = ("-day", "model_name", "id")

    def get_queryset(self) -> QuerySet[KeyUsage]:
        """Return what the user's own keys used."""
        return selectors.usage_counted(user_id=cast(int, self.request.user.pk))
