"""Answering a job frame that cannot be read: the job fails, the link lives. Pure."""

import msgspec

from motherfluxer_wire.errors import WireError, WireRule
from motherfluxer_wire.fields import Attempt, JobId
from motherfluxer_wire.frames import Failed
from motherfluxer_wire.limits import MAX_NOTE_CHARS


class _JobHead(msgspec.Struct, tag="job", tag_field="type"):
    job: JobId
    attempt: Attempt


_decoder = msgspec.json.Decoder(_JobHead)


def reject_job(data: str | bytes, error: WireError) -> Failed | None:
    """Give the `failed` frame for a job whose fields break a limit; None: it is no such frame."""
    if error.rule is not WireRule.INVALID_FRAME:
        return None
    try:
        head = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeError):
        return None
    return Failed(
        job=head.job,
        attempt=head.attempt,
        seq=0,
        code="bad_request",
        message=error.detail[:MAX_NOTE_CHARS],
        retryable=False,
    )
