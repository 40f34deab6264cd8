"""A way to a site that notes every HTTP request that passes: how often a client really asks."""

import contextlib
import itertools
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.sites import WAIT_S

_HEAD_END: Final = b"\r\n\r\n"


@dataclass(frozen=True)
class Asked:
    """A request's head, and when it came by, in seconds of the monotonic clock."""

    at: float
    method: str
    path: str
    headers: dict[str, str]


class RequestReader:
    """Finds the requests in what a client sends over one connection."""

    def __init__(self) -> None:
        self._unread = b""
        self._body_left = 0

    def feed(self, data: bytes) -> Iterator[Asked]:
        """Yield the requests whose heads are whole now. Raises ValueError for a chunked body."""
        self._unread += data
        while True:
            skipped = min(self._body_left, len(self._unread))
            self._body_left -= skipped
            self._unread = self._unread[skipped:]
            head, end, rest = self._unread.partition(_HEAD_END)
            if not end:
                return
            self._unread = rest
            asked = _asked(head.decode("latin-1"))
            if "transfer-encoding" in asked.headers:
                raise ValueError("only bodies with a content-length can be followed")
            self._body_left = int(asked.headers.get("content-length", 0))
            yield asked


def _asked(head: str) -> Asked:
    first, *lines = head.split("\r\n")
    method, path, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Asked(time.monotonic(), method, path, headers)


class Recorder(socketserver.ThreadingTCPServer):
    """Carries connections to one local port, byte for byte, and keeps what was asked."""

    daemon_threads = True

    def __init__(self, target_port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Carrier)
        self.target_port = target_port
        self.asked: list[Asked] = []

    @property
    def url(self) -> str:
        """The address to ask instead of the site's."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def gaps_s(self) -> list[float]:
        """How long each request but the first came after the one before."""
        times = [asked.at for asked in self.asked]
        return [later - earlier for earlier, later in itertools.pairwise(times)]


class _Carrier(socketserver.BaseRequestHandler):
    """One connection."""

    server: Recorder
    request: socket.socket

    def handle(self) -> None:
        """Carry it both ways until both sides have ended."""
        reader = RequestReader()
        with socket.create_connection(("127.0.0.1", self.server.target_port), WAIT_S) as site:
            back = threading.Thread(target=_carry, args=(site, self.request), daemon=True)
            back.start()
            with contextlib.suppress(OSError):
                while data := self.request.recv(65536):
                    self.server.asked.extend(reader.feed(data))
                    site.sendall(data)
            _end(site)
            back.join()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    _end(target)


def _end(target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def recorded(target_port: int) -> Iterator[Recorder]:
    """Yield a recorder in front of a local port."""
    with Recorder(target_port) as recorder:
        serving = threading.Thread(target=recorder.serve_forever, args=(0.05,))
        serving.start()
        try:
            yield recorder
        finally:
            recorder.shutdown()
            serving.join()
