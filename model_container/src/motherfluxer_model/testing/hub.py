"""A model hub for tests, on loopback: serves one folder, as far as a download needs it.

It can hand the weights out by pieces, each when the test says so.
"""

import hashlib
import json
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import unquote, urlsplit

COMMIT: Final = "0123456789abcdef0123456789abcdef01234567"
PIECES_COUNT: Final = 8


class FakeHub:
    """Serves a folder as the model `name`; use as a context."""

    def __init__(self, name: str, folder: Path, *, token: str | None = None) -> None:
        self.name = name
        self.folder = folder
        self.token = token
        self.asked: list[str] = []
        self.pause = threading.Semaphore(10**6)  # one is taken before each piece of a file
        hub = self

        class Handler(_Handler):
            """Answers for this hub."""

            served = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        """The address for `HF_ENDPOINT`."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    served: FakeHub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        """Answer without a body."""
        self._answer(has_body=False)

    def do_GET(self) -> None:
        """Answer."""
        self._answer(has_body=True)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _answer(self, *, has_body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.served.asked.append(path)
        api, files = f"/api/models/{self.served.name}/", f"/{self.served.name}/resolve/"
        if self.served.token and self.headers.get("Authorization") != f"Bearer {self.served.token}":
            self._say(HTTPStatus.UNAUTHORIZED, {"error": "no"}, {"X-Error-Code": "GatedRepo"})
        elif path.startswith(api + "revision/") or path == api.rstrip("/"):
            self._say(HTTPStatus.OK, self._about())
        elif path.startswith(api + "tree/"):
            self._say(HTTPStatus.OK, self._tree())
        elif path.startswith(files):
            self._give(self.served.folder / path.rpartition("/")[2], has_body=has_body)
        else:
            self._say(HTTPStatus.NOT_FOUND, {"error": "no"}, {"X-Error-Code": "RepoNotFound"})

    def _about(self) -> dict[str, Any]:
        names = [{"rfilename": path.name, "size": path.stat().st_size} for path in self._files()]
        return {"id": self.served.name, "sha": COMMIT, "siblings": names}

    def _tree(self) -> list[dict[str, Any]]:
        return [
            {"type": "file", "path": p.name, "size": p.stat().st_size, "oid": _etag(p)}
            for p in self._files()
        ]

    def _files(self) -> list[Path]:
        return sorted(path for path in self.served.folder.iterdir() if path.is_file())

    def _give(self, file: Path, *, has_body: bool) -> None:
        content = file.read_bytes()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{_etag(file)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if has_body:
            size = -(-len(content) // PIECES_COUNT) or 1
            for start in range(0, len(content), size):
                self.served.pause.acquire()
                self.wfile.write(content[start : start + size])

    def _say(self, status: HTTPStatus, body: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _etag(file: Path) -> str:
    return hashlib.sha1(file.read_bytes(), usedforsecurity=False).hexdigest()
