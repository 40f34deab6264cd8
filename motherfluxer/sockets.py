"""The sockets that the site listens on."""

import errno
import socket
from typing import Final

BACKLOG_COUNT: Final = 2048


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
        found.append(listener)
    if not found and missing is not None:
        raise missing
    return found
