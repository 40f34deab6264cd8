"""The addresses that the site listens on."""

import resource
import socket
import subprocess
import sys

import pytest

from motherfluxer.sockets import bound_sockets, files_allowed
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


@pytest.mark.parametrize(
    ("most", "expected"), [(resource.RLIM_INFINITY, 65_536), (100_000, 65_536), (4096, 4096)]
)
def test_a_process_opens_as_many_files_as_it_may(
    monkeypatch: pytest.MonkeyPatch, most: int, expected: int
) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr("resource.getrlimit", lambda _: (1024, most))
    monkeypatch.setattr("resource.setrlimit", lambda _, limits: told.append(limits))
    files_allowed()
    assert told == [(expected, most)]


def test_a_limit_that_is_higher_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (100_000, 100_000))
    monkeypatch.delattr("resource.setrlimit")
    files_allowed()


def test_the_real_limit_is_raised() -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    script = (
        "import resource\n"
        "from motherfluxer.sockets import files_allowed\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, (256, {most}))\n"
        "files_allowed()\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) > 256
