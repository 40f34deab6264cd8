"""Where the requests for one name went, as the decision log tells."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from apps.router.records import services
from apps.router.records.entries import Recorded
from apps.router.selectors import requests_by_model
from tests.unit.router.records.samples import BEGUN, decision, ended

pytestmark = pytest.mark.django_db


def given(asked: str | None, model: str, revision: str = "", attempt: int = 1) -> Recorded:
    what = replace(
        decision("j"), asked_model=asked, model_name=model, revision=revision, attempt=attempt
    )
    return Recorded(BEGUN, what)


def test_only_first_attempts_for_that_very_name_are_counted() -> None:
    services.log_append(
        recorded=[
            *[given("chat", "phi-2", "r1")] * 3,
            given("chat", "phi-2", "r1", attempt=2),
            given("chat", "phi-3"),
            given("Chat", "phi-3"),
            given("phi-2", "phi-2"),
            given(None, "phi-2"),
            Recorded(BEGUN, ended("j")),
        ]
    )
    assert requests_by_model(asked_model="chat", since=BEGUN) == {
        ("phi-2", "r1"): 3,
        ("phi-3", ""): 1,
    }
    assert requests_by_model(asked_model="none", since=BEGUN) == {}
    later = BEGUN + timedelta(seconds=1)
    assert requests_by_model(asked_model="chat", since=later) == {}


def test_an_empty_log_counts_nothing() -> None:
    assert requests_by_model(asked_model="chat", since=BEGUN) == {}
