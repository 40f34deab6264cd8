"""What plugins may ask of the live router. Call from the event loop that it runs in."""

from apps.router.live.runtime import live_router
from apps.router.live.streams import JobRequest, JobStream


def job_submit(*, request: JobRequest) -> JobStream:
    """Hand in a job and return its stream. Raises JobRefusedError when it is not taken at all."""
    return live_router().gateway.submit(request)


def job_cancel(*, job_id: str, reason: str) -> None:
    """Stop a job: its stream ends as cancelled and its instance is told. Unknown jobs are fine."""
    live_router().gateway.cancel(job_id, reason)
