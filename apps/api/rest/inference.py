"""Adds `/v1` to the schema: the bodies from the structs that read them, and every answer. Pure."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from inspect import cleandoc
from typing import Any, Final

import msgspec
from msgspec import Struct

from apps.api.conf import CONF
from apps.api.rest import shapes
from apps.api.rest.endpoints import ENDPOINTS, Endpoint

KEY_SCHEME: Final = "apiKey"
# A name of their own: what /api/ answers is called alike here and there.
_NAME: Final = "V1{name}"
_REF: Final = f"#/components/schemas/{_NAME}"
_EVENTS: Final = "text/event-stream"
_JSON: Final = "application/json"
_VISIBLE: Final = f"^[!-~]{{1,{CONF.idempotency_key_chars}}}$"


def inference_describe(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add `/v1` to a schema: a postprocessing hook of drf-spectacular."""
    schemas: dict[str, Any] = result["components"].setdefault("schemas", {})
    for endpoint in ENDPOINTS:
        result["paths"].setdefault(endpoint.path, {})[endpoint.method] = _operation(endpoint)
        for name, schema in _components(endpoint).items():
            if schemas.setdefault(name, schema) != schema:
                raise ValueError(f"two schemas are called {name}")
    return result


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.operation_id,
        "summary": endpoint.summary,
        "tags": ["v1"],
        "security": [{KEY_SCHEME: []}],
        "responses": _responses(endpoint),
    }
    if "{id}" in endpoint.path:
        text = {"type": "string", "minLength": 1}
        operation["parameters"] = [{"in": "path", "name": "id", "required": True, "schema": text}]
    if endpoint.body is not None:
        content = {_JSON: {"schema": _ref(endpoint.body)}}
        operation["requestBody"] = {"required": True, "content": content}
        name = {"type": "string", "pattern": _VISIBLE}
        operation["parameters"] = [{"in": "header", "name": "Idempotency-Key", "schema": name}]
    return operation


def _responses(endpoint: Endpoint) -> dict[str, Any]:
    content: dict[str, Any] = {_JSON: {"schema": _ref(endpoint.answer)}}
    if endpoint.body is not None:
        content[_EVENTS] = {"schema": _ref(shapes.StreamEvent)}
    responses: dict[str, Any] = {"200": {"description": "The answer", "content": content}}
    for status in sorted({code.http_status for code in endpoint.codes}):
        content = {_JSON: {"schema": _ref(endpoint.error)}}
        responses[str(status)] = {"description": HTTPStatus(status).phrase, "content": content}
    return responses


def _ref(struct: type[Struct]) -> dict[str, str]:
    return {"$ref": _REF.format(name=struct.__name__)}


def _components(endpoint: Endpoint) -> dict[str, Any]:
    """Return the schemas of an endpoint's structs, those of a body as strict as the reading is."""
    asked = [endpoint.body] if endpoint.body else []
    asked += [inner for inner in endpoint.inner.values() if inner not in asked]
    _, found = msgspec.json.schema_components(
        [*asked, endpoint.answer, endpoint.error, shapes.StreamEvent], ref_template=_REF
    )
    for (struct, name), inner in endpoint.inner.items():
        properties = found[struct.__name__]["properties"]
        properties[name] = _with_inner(properties[name], inner)
    for struct in asked:
        _tighten(found[struct.__name__], endpoint.neutral.get(struct, {}))
        found[struct.__name__]["description"] = cleandoc(found[struct.__name__]["description"])
    return {_NAME.format(name=name): schema for name, schema in found.items()}


def _with_inner(schema: Any, inner: type[Struct]) -> Any:
    """Return a schema with a free object in it replaced by the shape that it has to have."""
    if isinstance(schema, list):
        return [_with_inner(one, inner) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "object":
        return _ref(inner)
    return {key: _with_inner(value, inner) for key, value in schema.items()}


def _tighten(schema: dict[str, Any], neutral: Mapping[str, Iterable[object]]) -> None:
    """Say that nothing unknown is taken, that null is as good as nothing, and what is neutral."""
    schema["additionalProperties"] = False
    for name, one in schema["properties"].items():
        if name not in schema.get("required", ()) and {"type": "null"} not in one.get("anyOf", ()):
            schema["properties"][name] = {"anyOf": [one, {"type": "null"}]}
    for name, values in neutral.items():
        schema["properties"][name] = {"enum": [*values, None]}
