"""A job that breaks a limit fails alone."""

import pytest

from motherfluxer_model.core.rejects import reject_job
from motherfluxer_wire import codec
from motherfluxer_wire.errors import WireError

JOB = '{"type":"job","job":"j1","attempt":2,"model":"m","messages":[],"sampling":{"temperature":9}}'


def broken(text: str) -> WireError:
    with pytest.raises(WireError) as caught:
        codec.decode_from_router(text)
    return caught.value


def test_job_with_bad_sampling_is_answered_as_a_bad_request() -> None:
    failed = reject_job(JOB, broken(JOB))
    assert failed is not None
    assert (failed.job, failed.attempt, failed.seq) == ("j1", 2, 0)
    assert (failed.code, failed.retryable) == ("bad_request", False)
    assert "temperature" in failed.message


@pytest.mark.parametrize(
    "text",
    ["garbage", '{"type":"dance","job":"j","attempt":1}', '{"type":"job","attempt":1}', "[]"],
)
def test_what_names_no_job_cannot_be_answered(text: str) -> None:
    assert reject_job(text, broken(text)) is None
