"""What servers say when they refuse, and what it means for the job."""

import json

import pytest

from motherfluxer_model.core.mishaps import WORDS_CHARS, find_words, judge_event, judge_status

VLLM = (
    "This model's maximum context length is 2048 tokens. However, you requested 2100 tokens "
    "(100 in the messages, 2000 in the completion)."
)


@pytest.mark.parametrize(
    ("status", "words", "code", "retryable"),
    [
        (400, VLLM, "context_overflow", False),
        (400, "the request exceeds the available context size", "context_overflow", False),
        (500, "Requested tokens (600) exceed context window of 512", "context_overflow", False),
        (422, "`inputs` tokens + `max_new_tokens` must be <= 4096", "bad_request", False),
        (413, "the prompt is too long", "context_overflow", False),
        (400, "messages must not be empty", "bad_request", False),
        (422, "Unexpected fields in the request: {'foo'}", "bad_request", False),
        (404, "Not Found", "unsupported", False),
        (404, 'model "x" not found, try pulling it first', "unsupported", False),
        (400, "Server is pinned to 'a'; requested 'b'.", "unsupported", False),
        (401, "no such key", "engine_error", True),
        (403, "forbidden", "engine_error", True),
        (429, "Rate limit: too many tokens per minute", "overloaded", True),
        (503, "Loading model", "overloaded", True),
        (500, "Internal Server Error", "engine_error", True),
        (502, "<html>bad gateway</html>", "engine_error", True),
        (302, "", "engine_error", True),
    ],
)
def test_a_refusal_has_its_meaning(status: int, words: str, code: str, retryable: bool) -> None:
    error = judge_status(status, json.dumps({"error": {"message": words}}))
    assert (error.code, error.retryable) == (code, retryable)
    assert str(status) in error.message


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ('{"error": {"message": "CUDA out of memory", "code": 500}}', "engine_error"),
        ('{"error": {"message": "slow down", "code": "429"}}', "overloaded"),
        ('{"error": "no words"}', "engine_error"),
        ('{"error": "a "quoted" text"}', "engine_error"),
        ('{"code": 400, "message": "bad"}', "bad_request"),
        ("", "engine_error"),
        ('{"error": {"code": 99999}}', "engine_error"),
    ],
)
def test_an_error_inside_a_stream_too(data: str, code: str) -> None:
    assert judge_event(data).code == code


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"error": {"message": "a"}}', "a"),
        ('{"error": "b"}', "b"),
        ('{"detail": "c"}', "c"),
        ('{"detail": [{"msg": "d"}]}', '[{"msg": "d"}]'),
        ("plain\n words", "plain words"),
        ("", "no words"),
        ("x" * 9999, "x" * WORDS_CHARS),
    ],
)
def test_words_are_found_in_every_form(body: str, words: str) -> None:
    assert find_words(body) == words
