"""The OpenAPI schema of `/api/`: every answer that an address can give, errors too."""

from functools import cache
from http import HTTPStatus
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiJsonRenderer2, OpenApiYamlRenderer
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.api.rest.inference import KEY_SCHEME
from apps.api.rest.problems import PROBLEM_TYPE
from apps.router.errors import ErrorCode


class FaultSerializer(serializers.Serializer[Any]):
    """One thing that is wrong in a request."""

    field = serializers.CharField(help_text="Its path, or empty for the request as a whole.")
    detail = serializers.CharField()
    code = serializers.CharField()


class ProblemSerializer(serializers.Serializer[Any]):
    """Problem details, by RFC 9457."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.ChoiceField([code.value for code in ErrorCode])
    detail = serializers.CharField()
    instance = serializers.CharField(required=False, help_text="Of a fault of ours: its id.")
    errors = FaultSerializer(many=True, required=False)  # type: ignore[assignment]


class ProblemSchema(AutoSchema):
    """Documents an operation together with the problems that it can answer."""

    def _get_response_bodies(self, direction: Any = "response") -> Any:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        declared = {int(status) for status in bodies if status >= "400"}
        for status in sorted(declared | self._problem_statuses()):
            bodies[str(status)] = self._problem_body(HTTPStatus(status))
        return bodies

    def _problem_statuses(self) -> set[int]:
        """Return the statuses that follow from what the operation takes and asks for."""
        found = {406, 429, 500}
        parameters = self._get_parameters()
        if self._get_request_body():  # type: ignore[no-untyped-call]
            found |= {400, 413, 415}
        if any(one["in"] == "query" for one in parameters):
            found |= {400}
        if self.view.get_authenticators():
            found |= {401, 403}
        if any(one["in"] == "path" or one["name"] in ("page", "cursor") for one in parameters):
            found |= {404}
        return found

    def _problem_body(self, status: HTTPStatus) -> dict[str, Any]:
        component = self.resolve_serializer(ProblemSerializer, "response")
        return {
            "description": status.phrase,
            "content": {PROBLEM_TYPE: {"schema": component.ref}},
        }


def text_without_null(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Say that no text that is sent holds a null character: a postprocessing hook."""
    for operations in result["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "query" and parameter["schema"] == {"type": "string"}:
                    parameter["schema"]["pattern"] = "^[^\\x00]*$"
    return result


def methods_in_order(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """List a path's methods alike in every process: a postprocessing hook.

    The library takes them from a set.
    """
    for path, operations in result["paths"].items():
        result["paths"][path] = dict(sorted(operations.items()))
    return result


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the schema tells of API keys."""

    target_class = "apps.api.rest.access.KeyAuthentication"
    name = KEY_SCHEME

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """Return the definition."""
        return {"type": "http", "scheme": "bearer", "description": "An API key: `mf_…`."}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the schema tells of the session of the users' site."""

    target_class = "apps.api.rest.access.CheckedSessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """Return the definition."""
        words = "Being signed in on the users' site; writing also takes `X-CSRFToken`."
        return {"type": "apiKey", "in": "cookie", "name": "mf-user-sessionid", "description": words}


class Schema(APIView):
    """Everything that `/api/` and `/v1` take and answer, as OpenAPI."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    renderer_classes = (OpenApiJsonRenderer2, OpenApiJsonRenderer, OpenApiYamlRenderer)
    schema = None

    def get(self, request: Request) -> Response:
        """Give the schema, as JSON or as YAML."""
        return Response(schema_built())


@cache
def schema_built() -> dict[str, Any]:
    """Return the schema; it is the same as long as the process lives."""
    generator = SchemaGenerator()  # type: ignore[no-untyped-call]
    built: dict[str, Any] = generator.get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return built
