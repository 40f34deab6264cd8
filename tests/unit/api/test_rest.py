"""The parts of `/api/` that need no site: who is counted as one, and how a schema is told."""

import io
from typing import Any

import pytest
from rest_framework.exceptions import APIException, ErrorDetail, ParseError, ValidationError

from apps.api.rest.conf import CONF
from apps.api.rest.parsing import StrictJsonParser
from apps.api.rest.problems import _faults, code_of
from apps.api.rest.reference import kind_words
from apps.router.errors import ErrorCode


def test_a_body_up_to_the_limit_is_read() -> None:
    text = "x" * (CONF.max_body_bytes - 2)
    assert StrictJsonParser().parse(io.BytesIO(f'"{text}"'.encode())) == text
    with pytest.raises(APIException) as refused:
        StrictJsonParser().parse(io.BytesIO(f'"{text}x"'.encode()))
    assert code_of(refused.value) is ErrorCode.REQUEST_TOO_LARGE


@pytest.mark.parametrize("body", [b"", b"NaN", b'"\\ud800"', b'"\xff"', b"[" * 9000, b"{} {}"])
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(ParseError):
        StrictJsonParser().parse(io.BytesIO(body))


@pytest.mark.parametrize(
    ("exception", "code"),
    [
        (ValidationError("x", code="conflict"), ErrorCode.INVALID_REQUEST),
        (APIException("x", code=ErrorCode.CONFLICT), ErrorCode.CONFLICT),
        (APIException("x", code="conflict"), ErrorCode.INTERNAL_ERROR),
        (RuntimeError("x"), ErrorCode.INTERNAL_ERROR),
    ],
)
def test_only_a_code_of_ours_is_kept(exception: Exception, code: ErrorCode) -> None:
    assert code_of(exception) is code


def test_faults_are_told_by_the_path_of_their_field() -> None:
    wrong: Any = {"name": ["no"], "models": {2: ["bad"]}, "non_field_errors": ["both"]}
    details: Any = ValidationError(wrong).get_full_details()
    told = [(fault["field"], fault["detail"]) for fault in _faults(details)]
    assert told == [("name", "no"), ("models.2", "bad"), ("", "both")]
    listed: Any = ValidationError([ErrorDetail("all of it", code="x")]).get_full_details()
    assert list(_faults(listed)) == [{"field": "", "detail": "all of it", "code": "x"}]


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string", "maxLength": 9}, "string, at most 9 characters"),
        ({"type": ["string", "null"], "format": "date-time"}, "date-time or null"),
        (
            {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
            "integer, from 1 or null",
        ),
        ({"enum": ["<b>", 1]}, "<code>&quot;&lt;b&gt;&quot;</code> or <code>1</code>"),
        ({"$ref": "#/components/schemas/A"}, '<a href="#shape-A">A</a>'),
        ({"type": "array", "items": {"type": "number"}}, "list of number"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "object of integer"),
        ({}, "anything"),
    ],
)
def test_a_schema_is_told_in_words(schema: dict[str, Any], words: str) -> None:
    assert kind_words(schema) == words
