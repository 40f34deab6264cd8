"""The API's constants, each with its unit and its reason. Pure."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiConf:
    """How the API bounds what it reads and how long it stays silent.

    max_body_bytes: a job's frame holds at most as much.
    discarded_most_bytes, discarded_within_s: so much of a refused request is still read, for so
        long, so that a client that sends all of it first sees why.
    max_body_values: what takes time to read is the number of values, not their length.
    long_body_bytes: a body from here on is read beside the event loop, which it would hold up.
    start_within_s: a stream waits so long for its first text, so that a refusal keeps its status.
    keep_alive_s: after one such span of silence, and before a second one, a comment is sent;
        proxies commonly cut after 30 s or more.
    retry_after_s: what a refusal that passes by itself says when the router named no time.
    limit_window_s: requests are counted in windows so long.
    share_parts_count: one part of so many of what is left of a window is taken at once.
    shares_count: what was taken is forgotten when it is for so many keys.
    redis_rest_s: a request that could not be counted is answered all the same, and so are all
        others for so long, without waiting.
    idempotency_key_chars: the longest name that a request may bear.
    answer_kept_s: an answer whose request bore one can be had again for so long.
    reader_awaited_s: its job goes on for so long without anybody who reads it.
    reader_noted_s: somebody who reads it at another process is known to for so long, renewed.
    handed_in_within_s, handed_in_every_s: who waits for another process to hand in the same named
        request looks so often, and after so long does it in its place.
    kept_most_chars: of all such answers and their prompts, each counted as `kept_least_chars` more.
    chars_per_token: a prompt whose tokens nobody has counted is estimated so.
    """

    max_body_bytes: int = 1024 * 1024
    discarded_most_bytes: int = 64 * 1024 * 1024
    discarded_within_s: float = 5.0
    max_body_values: int = 32 * 1024
    long_body_bytes: int = 64 * 1024
    start_within_s: float = 1.0
    keep_alive_s: float = 5.0
    retry_after_s: int = 10
    limit_window_s: int = 60
    share_parts_count: int = 32
    shares_count: int = 10_000
    redis_rest_s: float = 5.0
    idempotency_key_chars: int = 255
    answer_kept_s: float = 600.0
    reader_awaited_s: float = 30.0
    reader_noted_s: float = 6.0
    handed_in_within_s: float = 10.0
    handed_in_every_s: float = 0.05
    kept_most_chars: int = 32 * 1024 * 1024
    kept_least_chars: int = 4096
    chars_per_token: int = 4


CONF: Final = ApiConf()
