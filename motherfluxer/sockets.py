"""The sockets that the site listens on, and what every connection gets from them."""

import errno
import resource
import socket
import sys
from typing import Final

BACKLOG_COUNT: Final = 2048
# A peer that vanished without a word is noticed: silent for so long it is asked, and has gone when
# it does not answer thrice; what it was sent, it acknowledges or takes within the last of these.
KEEP_ALIVE_IDLE_S: Final = 30
KEEP_ALIVE_EVERY_S: Final = 10
KEEP_ALIVE_COUNT: Final = 3
UNACKNOWLEDGED_S: Final = 60
# Files of one process, of which each link and each reader is one; many systems begin with 1,024.
FILES_COUNT: Final = 65_536


def bound_sockets(hosts: list[str], port: int) -> list[socket.socket]:
    """Listen on each address; one that this machine does not have is left out.

    Raises OSError when none is left or the port is taken.
    """
    found: list[socket.socket] = []
    missing: OSError | None = None
    for host in hosts:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            listener = socket.create_server(
                (host, port), family=family, backlog=BACKLOG_COUNT, dualstack_ipv6=False
            )
        except OSError as error:
            missing = error
            if error.errno == errno.EADDRINUSE:
                raise
            continue
        listener.setblocking(False)
        socket_options_set(listener)
        found.append(listener)
    if not found and missing is not None:
        raise missing
    return found


def socket_options_set(listener: socket.socket) -> None:
    """Set what connections inherit from the socket that takes them."""
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        tcp = socket.IPPROTO_TCP
        listener.setsockopt(tcp, socket.TCP_KEEPIDLE, KEEP_ALIVE_IDLE_S)
        listener.setsockopt(tcp, socket.TCP_KEEPINTVL, KEEP_ALIVE_EVERY_S)
        listener.setsockopt(tcp, socket.TCP_KEEPCNT, KEEP_ALIVE_COUNT)
        listener.setsockopt(tcp, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_S * 1000)


def present_addresses(hosts: list[str]) -> list[str]:
    """Return those addresses that this machine has; all when it has none of them."""
    return [host for host in hosts if _is_present(host)] or hosts


def _is_present(host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return True


def files_allowed() -> None:
    """Have as many files open as the site is made for, if the system lets this process."""
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_COUNT if most == resource.RLIM_INFINITY else min(FILES_COUNT, most)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
