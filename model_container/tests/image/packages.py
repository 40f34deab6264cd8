"""The locked packages in a folder, and an index of them on loopback for builds."""

import contextlib
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

REQUIREMENTS: Final = Path(__file__).parents[2] / "requirements"
SITE_REQUIREMENTS: Final = REQUIREMENTS.parents[1] / "requirements" / "production.txt"
FOR_OLDER_PYTHONS: Final = SITE_REQUIREMENTS.with_name("older_python.txt")
TORCH_INDEX_URL: Final = "https://download.pytorch.org/whl/cpu"
PYTHON: Final = "3.11"  # the image's


def fetch_packages(folder: Path, *locks: str) -> None:
    """Download what some of the container's locks name, by this machine's pip as it is set up."""
    named = [part for lock in locks for part in ("-r", str(REQUIREMENTS / f"{lock}.txt"))]
    _download(folder, "--require-hashes", *named)


def fetch_site_packages(folder: Path) -> None:
    """Download what the site's image is made of."""
    older = [line.partition(";")[0] for line in FOR_OLDER_PYTHONS.read_text().splitlines()]
    _download(folder, "-r", str(SITE_REQUIREMENTS), *(one for one in older if one[0] != "#"))


def _download(folder: Path, *named: str) -> None:
    command = [
        *(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder)),
        *("--python-version", PYTHON, "--only-binary", ":all:", *named),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode and "torch" in done.stderr:  # no torch for processors in the usual index
        command += ["--extra-index-url", TORCH_INDEX_URL]
        done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class _Index(BaseHTTPRequestHandler):
    """`/NAME/` lists a package's files, `/NAME/FILE` is one of them."""

    def __init__(self, folder: Path, *rest: object) -> None:
        self._folder = folder
        super().__init__(*rest)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        _, name, file = (*self.path.split("/"), "", "")[:3]
        if file:
            return self._reply((self._folder / Path(unquote(file)).name).read_bytes())
        files = [path.name for path in self._folder.iterdir() if _project(path) == name]
        links = "".join(f'<a href="{quote(file)}">{file}</a>\n' for file in files)
        return self._reply(links.encode(), HTTPStatus.OK if files else HTTPStatus.NOT_FOUND)

    def _reply(self, body: bytes, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        if body.startswith(b"<"):
            self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _project(path: Path) -> str:
    return re.sub(r"[-_.]+", "-", path.name.split("-")[0]).lower()


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve the folder as a package index; gives its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Index, folder))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
