"""A user's own API keys under `/api/`."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final, cast

from allauth.account.decorators import reauthentication_required
from allauth.core.exceptions import ReauthenticationRequired
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import APIException, PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.conf import CONF
from apps.accounts.errors import AccountError, ApiKeyNameError, ApiKeyScopeError
from apps.accounts.keys import selectors, services
from apps.accounts.keys.models import ApiKey
from apps.accounts.keys.notices import api_key_made_tell
from apps.accounts.models import User
from apps.rest_parts import CountField, FlagField, RevocableFilter, TextField
from apps.router.errors import ErrorCode
from apps.router.ports import Caller

_MOST_GRACE_H: Final = 24


class ApiKeySerializer(serializers.ModelSerializer[ApiKey]):
    """A key without its secret."""

    id = serializers.CharField(source="token_id", read_only=True)
    prefix = serializers.CharField(read_only=True, help_text="How its text begins.")
    name = TextField(max_length=CONF.api_key_name_chars)
    state = serializers.SerializerMethodField()
    allowed_models = serializers.ListField(
        child=TextField(max_length=128),
        allow_null=True,
        required=False,
        min_length=1,
        max_length=CONF.api_key_models_count,
        help_text="The models and aliases that it may ask for; null: any.",
    )
    requests_per_minute = CountField(
        min_value=1,
        max_value=CONF.api_key_requests_per_minute,
        allow_null=True,
        required=False,
        help_text="Null: the site's figure.",
    )
    may_manage = FlagField(required=False, help_text="Whether it opens `/api/` too.")

    class Meta:
        """The name, what it is good for and its end are chosen; the rest comes about."""

        model = ApiKey
        fields = (
            *("id", "prefix", "name", "state", "allowed_models", "requests_per_minute"),
            *("may_manage", "created_at", "expires_at", "revoked_at", "previous_until"),
            *("last_used_at", "last_used_address"),
        )
        read_only_fields = (
            *("created_at", "revoked_at", "previous_until", "last_used_at", "last_used_address"),
        )

    def get_state(self, key: ApiKey) -> str:
        """Tell "valid", "expired" or "revoked"."""
        return key.state_at(timezone.now())


class IssuedApiKeySerializer(ApiKeySerializer):
    """A key with a new secret: `key` is its text, shown this once."""

    key = serializers.CharField(read_only=True)

    class Meta(ApiKeySerializer.Meta):
        """As any other, and its text."""

        fields = (*ApiKeySerializer.Meta.fields, "key")  # type: ignore[assignment]


class RotationSerializer(serializers.Serializer[Any]):
    """How a secret is rotated."""

    grace_h = CountField(
        min_value=0,
        max_value=_MOST_GRACE_H,
        default=0,
        help_text="For how many hours the secret until now stays good.",
    )


@extend_schema_view(
    create=extend_schema(responses={201: IssuedApiKeySerializer, 409: OpenApiTypes.OBJECT}),
)
@method_decorator(never_cache, name="dispatch")
class ApiKeyViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[ApiKey]
):
    """Your API keys.

    Making one, or a new secret, takes a fresh sign-in, or a key that may manage; a key
    makes no others that may manage.
    """

    serializer_class = ApiKeySerializer
    filterset_class = RevocableFilter
    lookup_field = "token_id"
    lookup_url_kwarg = "id"
    lookup_value_converter = "slug"  # nothing that a database does not take
    ordering_fields = ("created_at", "name")
    ordering = ("-created_at", "-id")

    def get_queryset(self) -> QuerySet[ApiKey]:
        """Return the user's own, revoked ones too."""
        return selectors.api_keys_of(user_id=cast(int, self.request.user.pk))

    def create(self, request: Request) -> Response:
        """Issue a key. Its text is in this answer and nowhere else."""
        _check_fresh(request)
        asked = self.get_serializer(data=request.data)
        asked.is_valid(raise_exception=True)
        if isinstance(request.auth, Caller) and asked.validated_data.get("may_manage"):
            raise PermissionDenied("A key makes no other key that may manage: sign in for that.")
        with _refusals():
            key, text = services.api_key_issue(user=_user(request), **asked.validated_data)
        api_key_made_tell(key=key)
        return self._shown_once(key, text)

    @extend_schema(
        request=RotationSerializer,
        responses={201: IssuedApiKeySerializer, 409: OpenApiTypes.OBJECT},
    )
    @action(detail=True, methods=["post"], serializer_class=RotationSerializer)
    def rotate(self, request: Request, id: str) -> Response:
        """Give it a new secret; id, name and scope stay."""
        _check_fresh(request)
        asked = RotationSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        grace = timedelta(hours=asked.validated_data["grace_h"])
        with _refusals():
            key_id = self.get_object().pk
            key, text = services.api_key_rotate(user=_user(request), key_id=key_id, grace=grace)
        api_key_made_tell(key=key, is_rotated=True)
        return self._shown_once(key, text)

    @extend_schema(request=None, responses={200: ApiKeySerializer, 409: OpenApiTypes.OBJECT})
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, id: str) -> Response:
        """Revoke it. Within a second it is refused everywhere."""
        with _refusals():
            key = services.api_key_revoke(user=_user(request), key_id=self.get_object().pk)
        return Response(self.get_serializer(key).data)

    def _shown_once(self, key: ApiKey, text: str) -> Response:
        shown = ApiKeySerializer(key, context=self.get_serializer_context()).data
        return Response({**shown, "key": text}, status=201)


def _user(request: Request) -> User:
    return cast(User, request.user)


def _check_fresh(request: Request) -> None:
    """Refuse a session whose sign-in is old, as the page does. Raises PermissionDenied."""
    if request.auth is not None:
        return
    try:
        _pass_fresh(request._request)
    except ReauthenticationRequired as old:
        words = "Your sign-in is too old for this. Confirm who you are, then do it again."
        raise PermissionDenied(words, code=ErrorCode.REAUTHENTICATION_REQUIRED) from old


@reauthentication_required  # type: ignore[untyped-decorator]  # allauth has no types
def _pass_fresh(request: HttpRequest) -> None:
    """Do nothing for a session whose sign-in is fresh. Raises ReauthenticationRequired."""


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn what the services refuse into answers."""
    try:
        yield
    except ApiKeyNameError as refused:
        raise ValidationError({"name": [str(refused)]}) from refused
    except ApiKeyScopeError as refused:
        raise ValidationError([str(refused)]) from refused
    except AccountError as refused:
        raise APIException(str(refused), code=ErrorCode.CONFLICT) from refused
