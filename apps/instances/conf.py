"""The app's constants, with their units."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class InstancesConf:
    """What is allowed to whoever presents wrong credentials, and how long a record stays fresh.

    known_most_count: beyond so many names under one credential the record of the one that has been
        away the longest is dropped.
    """

    failures_before_wait_count: int = 10
    first_wait_s: int = 1
    longest_wait_s: int = 300
    failures_forgotten_after_s: float = 600.0
    remembered_addresses_count: int = 10_000
    touch_every_s: float = 30.0
    connected_for_s: float = 90.0
    known_most_count: int = 1000


CONF = InstancesConf()
