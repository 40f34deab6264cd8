"""Which addresses count as one network."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.networks import UNKNOWN, network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        (" 203.0.113.7 ", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("::FFFF:cb00:7107", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:0DB8:0001:0002::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::6", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("", UNKNOWN),
        ("unix:", UNKNOWN),
        ("203.0.113.7:5000", UNKNOWN),
        ("203.0.113.07", UNKNOWN),
        ("2001:db8::/32", UNKNOWN),
        ("1.2.3.4, 5.6.7.8", UNKNOWN),
    ],
)
def test_network_of_an_address(address: str, network: str) -> None:
    assert network_of(address) == network


@given(st.text(max_size=200))
def test_whatever_comes_has_a_short_network(address: str) -> None:
    assert len(network_of(address)) <= len("ffff:ffff:ffff:ffff::/64")


@given(st.ip_addresses(v=6), st.integers(min_value=0, max_value=2**64 - 1))
def test_who_has_one_ipv6_address_of_a_network_has_them_all(address: object, own: int) -> None:
    other = type(address)((int(address) >> 64 << 64) + own)  # type: ignore[call-overload, call-arg]
    if int(address) >> 32 != 0xFFFF and int(other) >> 32 != 0xFFFF:  # type: ignore[call-overload]
        assert network_of(str(address)) == network_of(str(other))
