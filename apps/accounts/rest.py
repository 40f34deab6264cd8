"""A user's own account under `/api/`."""

from typing import Any

from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework import serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.keys.rest import ApiKeyViewSet
from apps.accounts.models import User
from apps.accounts.usage.rest import UsageViewSet


@extend_schema_serializer(many=False)
class AccountSerializer(serializers.ModelSerializer[User]):
    """Who asks, and what he or she may do."""

    joined_at = serializers.DateTimeField(source="date_joined")

    class Meta:
        """Nothing of it can be changed here."""

        model = User
        fields = ("id", "email", "joined_at", "is_operator", "is_superadmin")


@method_decorator(never_cache, name="dispatch")
class AccountViewSet(viewsets.GenericViewSet[Any]):
    """Your account."""

    serializer_class = AccountSerializer
    pagination_class = None
    filter_backends = ()

    @extend_schema(responses=AccountSerializer)
    def list(self, request: Request) -> Response:
        """Tell who you are here."""
        return Response(self.get_serializer(request.user).data)


ROUTES = [("account", AccountViewSet), ("keys", ApiKeyViewSet), ("usage", UsageViewSet)]
