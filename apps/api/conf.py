"""The API's constants, each with its unit and its reason. Pure."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiConf:
    """How the API bounds what it reads and how long it stays silent.

    max_body_bytes: a job's frame holds at most as much.
    start_within_s: a stream waits so long for its first text, so that a refusal keeps its status.
    keep_alive_s: after one such span of silence, and before a second one, a comment is sent;
        proxies commonly cut after 30 s or more.
    retry_after_s: what a refusal that passes by itself says when the router named no time.
    """

    max_body_bytes: int = 1024 * 1024
    start_within_s: float = 1.0
    keep_alive_s: float = 5.0
    retry_after_s: int = 10


CONF: Final = ApiConf()
