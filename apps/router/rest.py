"""The fleet's state and the decisions under `/api/`: public, without content, without user."""

from collections.abc import Callable, Coroutine
from typing import Any, Final, ParamSpec, TypeVar

import django_filters
from asgiref.sync import async_to_sync
from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_serializer
from rest_framework import serializers, viewsets
from rest_framework.exceptions import APIException, NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from apps.router import selectors
from apps.router.errors import ErrorCode
from apps.router.explaining import attempt_explained
from apps.router.live.runtime import LiveRouterNotRunningError
from apps.router.models import LogEntry
from apps.router.records.attempts import Attempt
from apps.router.records.selectors import log_attempts, log_decisions

_SEQUENCE_DIGITS: Final = 18

ParamsT = ParamSpec("ParamsT")
ResultT = TypeVar("ResultT")


def in_loop(
    ask: Callable[ParamsT, Coroutine[Any, Any, ResultT]],
    *args: ParamsT.args,
    **kwargs: ParamsT.kwargs,
) -> ResultT:
    """Ask the live router from the event loop that it runs in. Raises APIException."""
    try:
        return async_to_sync(ask)(*args, **kwargs)
    except LiveRouterNotRunningError as error:
        words = "No router runs in this process at present."
        raise APIException(words, code=ErrorCode.SHUTTING_DOWN) from error


class PublicView(viewsets.GenericViewSet[Any]):
    """What anybody may read."""

    authentication_classes = ()
    permission_classes = (AllowAny,)


class QueueSerializer(serializers.Serializer[selectors.QueueView]):
    """One class of requests: how many wait and run."""

    service_class = serializers.CharField()
    waiting = serializers.IntegerField()
    running = serializers.IntegerField()


class ServedModelSerializer(serializers.Serializer[selectors.ModelView]):
    """One model that connected instances serve now."""

    name = serializers.CharField()
    context_tokens = serializers.IntegerField()
    max_output_tokens = serializers.IntegerField()
    instances = serializers.IntegerField()


@extend_schema_serializer(many=False)
class FleetSerializer(serializers.Serializer[dict[str, Any]]):
    """The fleet now, as the status page shows it.

    `health`: how many instances are in each state, those that have left included. `jobs_per_s`:
    how many answers the fleet ends while all of it is busy; null before that is measured.
    """

    instances = serializers.IntegerField(help_text="How many are connected.")
    health = serializers.DictField(child=serializers.IntegerField())
    queue = QueueSerializer(many=True)
    models = ServedModelSerializer(many=True)
    jobs_per_s = serializers.FloatField(allow_null=True)


class FleetViewSet(PublicView):
    """How many instances serve which model, and how many requests run and wait."""

    serializer_class = FleetSerializer
    pagination_class = None
    filter_backends = ()

    @extend_schema(responses={200: FleetSerializer, 503: OpenApiTypes.OBJECT})
    def list(self, request: Request) -> Response:
        """Show the fleet as it is now."""
        view = in_loop(_router_view)
        found = {
            "instances": len(view.instances),
            "health": view.health,
            "queue": view.queue,
            "models": view.models,
            "jobs_per_s": view.jobs_per_s,
        }
        return Response(FleetSerializer(found).data)


class EndSerializer(serializers.Serializer[dict[str, Any]]):
    """How an attempt ended."""

    ended_at = serializers.DateTimeField()
    outcome = serializers.CharField()
    tokens = serializers.IntegerField()


class DecisionSerializer(serializers.Serializer[Any]):
    """Which instance got a request; `ended` is null while it answers."""

    job_id = serializers.CharField(source="decision.job_id")
    attempt = serializers.IntegerField(source="decision.attempt")
    made_at = serializers.DateTimeField()
    waited_s = serializers.FloatField(source="decision.waited_s")
    rule = serializers.CharField(source="decision.rule")
    asked_model = serializers.CharField(source="decision.asked_model", allow_null=True)
    model = serializers.CharField(source="decision.model_name")
    revision = serializers.CharField(source="decision.revision")
    service_class = serializers.CharField(source="decision.service_class")
    instance_name = serializers.CharField(source="decision.winner")
    ended = serializers.SerializerMethodField()

    @extend_schema_field(EndSerializer(allow_null=True))
    def get_ended(self, attempt: Attempt) -> Any:
        """Return how it ended, or None."""
        if attempt.ended is None:
            return None
        found = {
            "ended_at": attempt.ended_at,
            "outcome": attempt.ended.outcome,
            "tokens": attempt.ended.tokens,
        }
        return EndSerializer(found).data


class CandidateSerializer(serializers.Serializer[dict[str, Any]]):
    """An instance as the decision saw it, and the verdict on it."""

    name = serializers.CharField()
    verdict = serializers.CharField()
    is_winner = serializers.BooleanField()
    ruled_out = serializers.CharField(allow_null=True)
    score = serializers.FloatField(allow_null=True)
    score_parts = serializers.DictField(child=serializers.FloatField(), allow_null=True)
    health = serializers.CharField()
    open_jobs = serializers.IntegerField()
    slots = serializers.IntegerField()
    load = serializers.FloatField(allow_null=True)
    last_assigned = serializers.IntegerField()
    recent_failures = serializers.FloatField()
    first_token_s = serializers.FloatField(allow_null=True)
    token_s = serializers.FloatField(allow_null=True)
    held_tokens = serializers.IntegerField()


class ExplainedEndSerializer(EndSerializer):
    """How an attempt ended, in words too."""

    took_s = serializers.FloatField()
    words = serializers.CharField()


class ExplainedAttemptSerializer(serializers.Serializer[dict[str, Any]]):
    """One attempt with all that was looked at, best first; `ended` is null while it answers."""

    attempt = serializers.IntegerField()
    made_at = serializers.DateTimeField()
    waited_s = serializers.FloatField()
    rule = serializers.CharField()
    rule_words = serializers.CharField()
    asked_model = serializers.CharField(allow_null=True)
    model = serializers.CharField(source="model_name")
    revision = serializers.CharField()
    is_alias = serializers.BooleanField()
    service_class = serializers.CharField()
    class_words = serializers.CharField()
    prompt_tokens = serializers.IntegerField()
    is_fail_open = serializers.BooleanField()
    instance_name = serializers.CharField(source="winner")
    candidates = CandidateSerializer(source="table", many=True)
    unlisted = serializers.IntegerField()
    ended = ExplainedEndSerializer(allow_null=True)


class ExplanationSerializer(serializers.Serializer[dict[str, Any]]):
    """All attempts of one request."""

    job_id = serializers.CharField()
    attempts = ExplainedAttemptSerializer(many=True)


class DecisionFilter(django_filters.FilterSet):  # type: ignore[misc]  # untyped
    """By when they were made."""

    made_after = django_filters.IsoDateTimeFilter("made_at", "gte")
    made_before = django_filters.IsoDateTimeFilter("made_at", "lt")


class NewestFirst(CursorPagination):
    """Pages that stay what they are while newer decisions come."""

    ordering = "-sequence"
    page_size = 50

    def decode_cursor(self, request: Request) -> Cursor | None:
        """Read the place to go on from. Raises NotFound for one that was never given."""
        cursor = super().decode_cursor(request)
        place = "0" if cursor is None or cursor.position is None else str(cursor.position)
        if not (place.isascii() and place.isdigit() and len(place) <= _SEQUENCE_DIGITS):
            raise NotFound
        return cursor


class DecisionViewSet(PublicView):
    """The router's decisions of the last days, and why each was made."""

    serializer_class = DecisionSerializer
    filterset_class = DecisionFilter
    filter_backends = viewsets.GenericViewSet.filter_backends[:1]  # type: ignore[misc]  # pages have their order
    pagination_class = NewestFirst
    lookup_value_converter = "slug"
    lookup_url_kwarg = "job_id"
    lookup_field = "job_id"

    def get_queryset(self) -> QuerySet[LogEntry]:
        """Return the log's decisions."""
        return log_decisions()

    def list(self, request: Request) -> Response:
        """List the decisions, newest first."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        attempts = log_attempts(rows=page or ())
        return self.get_paginated_response(DecisionSerializer(attempts, many=True).data)

    @extend_schema(responses={200: ExplanationSerializer, 503: OpenApiTypes.OBJECT})
    def retrieve(self, request: Request, job_id: str) -> Response:
        """Explain all attempts of one request."""
        attempts = in_loop(_explained, job_id)
        if not attempts:
            raise NotFound
        return Response(ExplanationSerializer({"job_id": job_id, "attempts": attempts}).data)


async def _router_view() -> selectors.RouterView:
    return selectors.router_view()


async def _explained(job_id: str) -> list[dict[str, Any]]:
    attempts = await selectors.decisions_of_job(job_id=job_id)
    settings = selectors.core_settings()
    return [attempt_explained(one, settings) for one in attempts]


ROUTES = [("fleet", FleetViewSet), ("decisions", DecisionViewSet)]
