"""An operator's credentials and instances under `/api/`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, cast

import django_filters
import msgspec
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import APIException, PermissionDenied, ValidationError
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.instances import overview, selectors, services
from apps.instances.errors import (
    CredentialError,
    CredentialRevokedError,
    NameInvalidError,
    NameTakenError,
)
from apps.instances.models import Credential, KnownInstance
from apps.rest_parts import RevocableFilter, TextField
from apps.router.errors import ErrorCode
from motherfluxer_wire.fields import ModelName

_MOST_MODELS = 64


class IsOperator(BasePermission):
    """Lets in operators, as their site does."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Refuse those who are none, in words that say what is missing."""
        user = cast(Any, request.user)
        if not getattr(user, "is_operator", False):
            raise PermissionDenied("This is for operators.")
        if request.auth is None and not getattr(user, "has_second_factor", True):
            words = "Operators need a second factor: set one up, then sign in with it."
            raise PermissionDenied(words, code=ErrorCode.SECOND_FACTOR_REQUIRED)
        return True


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn what the services refuse into answers."""
    try:
        yield
    except (NameTakenError, CredentialRevokedError) as refused:
        raise APIException(str(refused), code=ErrorCode.CONFLICT) from refused
    except NameInvalidError as refused:
        raise ValidationError({"name": [str(refused)]}) from refused
    except CredentialError as refused:
        raise PermissionDenied(str(refused)) from refused


class OperatorsView(viewsets.GenericViewSet[Any]):
    """What operators alone may use, each what is his or her own."""

    def get_permissions(self) -> list[Any]:
        """Ask for the role beside what everybody needs."""
        return [*super().get_permissions(), IsOperator()]


class CredentialSerializer(serializers.ModelSerializer[Credential]):
    """A credential without its secret."""

    id = serializers.CharField(source="token_id", read_only=True)
    prefix = serializers.CharField(read_only=True, help_text="How its text begins.")
    name = TextField(max_length=64, trim_whitespace=False, help_text="Once among your live ones.")
    state = serializers.SerializerMethodField()
    allowed_models = serializers.ListField(
        child=TextField(max_length=128),
        allow_null=True,
        required=False,
        max_length=_MOST_MODELS,
        help_text="The models that may be served with it; null: any.",
    )

    class Meta:
        """The name, the models and the end are chosen; the rest comes about."""

        model = Credential
        fields = (
            *("id", "prefix", "name", "state", "allowed_models", "created_at", "expires_at"),
            *("revoked_at", "last_used_at", "last_used_address"),
        )
        read_only_fields = ("created_at", "revoked_at", "last_used_at", "last_used_address")
        validators: ClassVar[list[Any]] = []  # a name that is taken is a conflict, not a mistake

    def get_state(self, credential: Credential) -> str:
        """Tell "valid", "expired" or "revoked"."""
        return credential.state_at(timezone.now())

    def validate_allowed_models(self, names: list[str] | None) -> list[str] | None:
        """Refuse what is no model's name."""
        for name in names or ():
            try:
                msgspec.convert(name, ModelName)
            except msgspec.ValidationError as error:
                raise ValidationError(f"“{name}” is not a model's name.") from error
        return names or None

    def validate_expires_at(self, moment: Any) -> Any:
        """Refuse an end that is past."""
        if moment is not None and moment <= timezone.now():
            raise ValidationError("It would have expired already.")
        return moment


class IssuedCredentialSerializer(CredentialSerializer):
    """A credential just issued: `credential` is its text, shown this once."""

    credential = serializers.CharField(read_only=True)

    class Meta(CredentialSerializer.Meta):
        """As any other, and its text."""

        fields = (*CredentialSerializer.Meta.fields, "credential")  # type: ignore[assignment]


@extend_schema_view(
    create=extend_schema(
        responses={201: IssuedCredentialSerializer, 409: OpenApiTypes.OBJECT},
    ),
)
@method_decorator(never_cache, name="dispatch")
class CredentialViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, OperatorsView):
    """Your credentials: what an instance shows to be let in."""

    serializer_class = CredentialSerializer
    filterset_class = RevocableFilter
    lookup_field = "token_id"
    lookup_url_kwarg = "id"
    lookup_value_converter = "slug"  # nothing that a database does not take
    ordering_fields = ("created_at", "name")
    ordering = ("-created_at", "-id")

    def get_queryset(self) -> QuerySet[Credential]:
        """Return the operator's own, revoked ones too."""
        return selectors.credentials_of(operator_id=cast(int, self.request.user.pk))

    def create(self, request: Request) -> Response:
        """Issue a credential. Its text is in this answer and nowhere else."""
        asked = self.get_serializer(data=request.data)
        asked.is_valid(raise_exception=True)
        with _refusals():
            issued = services.credential_issue(
                operator_id=cast(int, request.user.pk), **asked.validated_data
            )
        return self._shown_once(*issued)

    @extend_schema(
        request=None, responses={201: IssuedCredentialSerializer, 409: OpenApiTypes.OBJECT}
    )
    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, id: str) -> Response:
        """Revoke it and issue another with the same name, models and end."""
        with _refusals():
            issued = services.credential_rotate(credential_id=self.get_object().pk)
        return self._shown_once(*issued)

    @extend_schema(request=None, responses={200: CredentialSerializer, 409: OpenApiTypes.OBJECT})
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, id: str) -> Response:
        """Revoke it. Its instances are cut off within a second."""
        with _refusals():
            credential = services.credential_revoke(credential_id=self.get_object().pk)
        return Response(self.get_serializer(credential).data)

    def _shown_once(self, credential: Credential, text: str) -> Response:
        shown = CredentialSerializer(credential, context=self.get_serializer_context()).data
        return Response({**shown, "credential": text}, status=201)


class InstanceSerializer(serializers.Serializer[overview.InstanceRow]):
    """An instance of yours, as it is now; `state` is the router's word for it, or "offline"."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    credential = serializers.CharField(source="credential_id", help_text="Its credential's id.")
    credential_name = serializers.CharField()
    state = serializers.CharField()
    models = serializers.ListField(child=serializers.CharField())
    running = serializers.IntegerField(help_text="How many answers it is writing.")
    slots = serializers.IntegerField()
    agent = serializers.CharField()
    last_seen = serializers.DateTimeField()
    connected_s = serializers.FloatField(allow_null=True)


class InstanceFilter(django_filters.FilterSet):  # type: ignore[misc]  # untyped
    """By name, and by the credential that it came with."""

    name = django_filters.CharFilter("name")
    credential = django_filters.CharFilter("credential__token_id")


@extend_schema_view(list=extend_schema(), retrieve=extend_schema())
@method_decorator(never_cache, name="dispatch")
class InstanceViewSet(OperatorsView):
    """Your instances: the last 1,000 names of each credential, and how each is now."""

    serializer_class = InstanceSerializer
    filterset_class = InstanceFilter
    lookup_value_converter = "int"
    ordering_fields = ("name", "last_seen")
    ordering = ("name", "id")

    def get_queryset(self) -> QuerySet[KnownInstance]:
        """Return the operator's own."""
        return selectors.instances_known(operator_id=cast(int, self.request.user.pk))

    def list(self, request: Request) -> Response:
        """List them."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        rows = overview.instance_rows_of(page or ())
        return self.get_paginated_response(self.get_serializer(rows, many=True).data)

    def retrieve(self, request: Request, pk: int) -> Response:
        """Show one."""
        [row] = overview.instance_rows_of([self.get_object()])
        return Response(self.get_serializer(row).data)


ROUTES = [("credentials", CredentialViewSet), ("instances", InstanceViewSet)]
