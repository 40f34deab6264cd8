"""Figures of the router's records; those that decide are the core's own, in `core/settings.py`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsConf:
    """How much is kept, for how long, and how it is written.

    log_kept_days: how long a decision can be looked up and verified.
    log_memory_jobs_count: the latest jobs whose decisions need no database to be shown.
    log_waiting_count: entries that may wait while the database is away: at ten decisions a second
        that is a quarter of an hour. More are counted and the gap is written down.
    log_write_every_s: one transaction for all of that time, so that the log costs little.
    log_stop_within_s: how long a stopping server tries to write what still waits.

    events_segment_s, events_segment_bytes: a file of events is closed and the next one begun;
        each begins with the router's whole state, so each can be replayed by itself.
    events_most_bytes: the oldest files go when all together are larger, however young they are.
        `settings.EVENTS_KEPT_HOURS` says how long they are kept at most.
    events_write_every_s: what a router that is killed loses of them.
    events_waiting_count: events that may wait for a disk that does not write; then a new file is
        begun as soon as it does.
    """

    log_kept_days: int = 30
    log_memory_jobs_count: int = 2_000
    log_waiting_count: int = 20_000
    log_batch_count: int = 500
    log_write_every_s: float = 0.2
    log_retry_s: float = 1.0
    log_stop_within_s: float = 5.0

    events_segment_s: float = 3600.0
    events_segment_bytes: int = 64 * 1024 * 1024
    events_most_bytes: int = 512 * 1024 * 1024
    events_write_every_s: float = 1.0
    events_waiting_count: int = 100_000


CONF = RecordsConf()
