"""Names by which the local server may be asked."""

import pytest

from motherfluxer_model.core.hosts import is_loopback, is_own_host


@pytest.mark.parametrize(
    "header",
    [
        None,
        *("127.0.0.1", "127.0.0.1:8090", "127.8.8.8:1", "[::1]:8090", "[::1]"),
        *("localhost", "LOCALHOST:99", "localhost.:80", "box.localhost:8090"),
    ],
)
def test_this_machine_is_served(header: str | None) -> None:
    assert is_own_host(header, "127.0.0.1")


@pytest.mark.parametrize(
    "header",
    [
        *("evil.example", "evil.example:8090", "localhost.evil.example", "127.0.0.1.evil.example"),
        *("10.0.0.5", "[2001:db8::1]:8090", "", "localhost@evil.example", "evillocalhost"),
    ],
)
def test_other_names_are_not(header: str) -> None:
    assert not is_own_host(header, "127.0.0.1")
    assert not is_own_host(header, "::1")


@pytest.mark.parametrize("listening_on", ["0.0.0.0", "::", "192.168.1.5", "box.lan"])  # noqa: S104
def test_server_for_the_network_takes_any_name(listening_on: str) -> None:
    assert is_own_host("prometheus-target:8090", listening_on)
    assert not is_loopback(listening_on)
