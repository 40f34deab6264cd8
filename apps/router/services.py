"""What plugins may ask of the live router. Call from the event loop that it runs in."""

from apps.router.live.runtime import live_gateway
from apps.router.live.streams import JobRequest, JobStream


async def job_submit(*, request: JobRequest) -> JobStream:
    """Hand in a job and return its stream. Raises JobRefusedError when it is not taken at all."""
    return await live_gateway().gateway.submit(request)


async def job_follow(*, job_id: str) -> JobStream | None:
    """Return a job's stream to read, wherever it is written; None when it is not known any more.

    Raises JobRefusedError when that can't be told now.
    """
    return await live_gateway().follow(job_id)


def job_cancel(*, job_id: str, reason: str) -> None:
    """Stop a job: its stream ends as cancelled and its instance is told. Unknown jobs are fine."""
    live_gateway().gateway.cancel(job_id, reason)


def jobs_cancel(*, requester: str, reason: str) -> None:
    """Stop all jobs of one requester that have not ended, in whichever process they are."""
    live_gateway().gateway.cancel_all(requester, reason)
