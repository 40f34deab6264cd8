"""The addresses that the site listens on."""

import socket

import pytest

from motherfluxer.sockets import bound_sockets
from tests.servers import free_port


def test_an_address_that_the_machine_lacks_is_left_out() -> None:
    listeners = bound_sockets(["127.0.0.1", "192.0.2.1"], free_port())
    assert [one.getsockname()[0] for one in listeners] == ["127.0.0.1"]
    for one in listeners:
        one.close()


def test_no_address_at_all_is_an_error() -> None:
    with pytest.raises(OSError, match="assign"):
        bound_sockets(["192.0.2.1"], free_port())


def test_a_taken_port_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        bound_sockets(["127.0.0.1"], taken.getsockname()[1])
