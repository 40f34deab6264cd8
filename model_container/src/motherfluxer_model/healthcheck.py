"""Asks the program beside it whether it lives: what the image's HEALTHCHECK runs.

It reads the same environment as the program and imports next to nothing: it runs twice a minute,
within the container's memory.
"""

import os
import socket
import sys
from collections.abc import Mapping
from typing import Final

TIMEOUT_S: Final = 4.0
_ANY_ADDRESS: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


def is_alive(environ: Mapping[str, str]) -> bool:
    """Whether /healthz answers 200 where the environment says that it listens."""
    host = environ.get("MOTHERFLUXER_HEALTH_HOST", "")
    port = int(environ.get("MOTHERFLUXER_HEALTH_PORT") or 8090)
    try:
        with socket.create_connection((_ANY_ADDRESS.get(host, host), port), TIMEOUT_S) as asked:
            asked.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            status = asked.makefile("rb").readline(100).split()
    except OSError:
        return False
    return status[1:2] == [b"200"]


if __name__ == "__main__":
    sys.exit(0 if is_alive(os.environ) else 1)
