"""Wrong credentials by address: the wait grows, memory does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.instances.conf import CONF, InstancesConf
from apps.instances.throttle import FailureCounter


def _waits(count: int, *, address: str = "192.0.2.1") -> list[int | None]:
    counter = FailureCounter(CONF)
    return [counter.failed(address, now=float(n)) for n in range(count)]


def test_the_wait_begins_with_the_tenth_failure_and_doubles_up_to_five_minutes() -> None:
    assert _waits(22) == [None] * 9 + [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 300]


def test_other_addresses_do_not_wait() -> None:
    counter = FailureCounter(CONF)
    for _ in range(50):
        counter.failed("192.0.2.1", now=0.0)
    assert counter.failed("192.0.2.2", now=0.0) is None


def test_failures_are_forgotten_after_a_quiet_while() -> None:
    counter = FailureCounter(CONF)
    for _ in range(50):
        counter.failed("192.0.2.1", now=0.0)
    assert counter.failed("192.0.2.1", now=CONF.failures_forgotten_after_s) is None


@pytest.mark.parametrize("last", ["1", "ffff:ffff:ffff:ffff"])
def test_one_ipv6_network_counts_as_one_address(last: str) -> None:
    counter = FailureCounter(CONF)
    for n in range(9):
        counter.failed(f"2001:db8:1:2::{n}", now=0.0)
    address = f"2001:db8:1:2:{last}" if ":" in last else f"2001:db8:1:2::{last}"
    assert counter.failed(address, now=0.0) == 1


def test_ipv4_addresses_seen_as_ipv6_are_told_apart() -> None:
    counter = FailureCounter(CONF)
    for _ in range(50):
        counter.failed("::ffff:192.0.2.1", now=0.0)
    assert counter.failed("::ffff:192.0.2.2", now=0.0) is None
    assert counter.failed("192.0.2.1", now=0.0) == CONF.longest_wait_s


@given(st.lists(st.text(max_size=80), max_size=200))
def test_memory_is_bounded_whatever_the_addresses(addresses: list[str]) -> None:
    counter = FailureCounter(InstancesConf(remembered_addresses_count=5))
    for address in addresses:
        counter.failed(address, now=0.0)
    assert len(counter) <= 5


def test_the_longest_quiet_address_is_forgotten_first() -> None:
    counter = FailureCounter(InstancesConf(remembered_addresses_count=2))
    for address in ["a"] * 9 + ["b", "a", "c", "a"]:
        wait_s = counter.failed(address, now=0.0)
    assert wait_s == 4 // 2
