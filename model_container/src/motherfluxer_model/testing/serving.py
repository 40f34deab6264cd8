"""`transformers serve` as a child process: a real server to try the openai engine on.

Needs fastapi and accelerate beside transformers.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

from motherfluxer_model.engines.host import die_with_parent

WAIT_S: Final = 120.0
START: Final = "from transformers.cli.transformers import main; main()"


class TransformersServer:
    """Serves any model's folder that a request names, at one port, also after a restart."""

    def __init__(self, log: Path) -> None:
        self.log = log
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The base address."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def pid(self) -> int:
        """The running process."""
        if self._process is None:
            raise ProcessLookupError("the server was not started")
        return self._process.pid

    def launch(self) -> None:
        """Start it, in a thread that lives as long as it is wanted: it ends with its parent."""
        own_pid = os.getpid()
        arguments = ["serve", "--host", "127.0.0.1", "--port", str(self.port), "--device", "cpu"]
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603  our own words
                [sys.executable, "-c", START, *arguments],
                env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=lambda: die_with_parent(own_pid),
            )

    def start(self) -> "TransformersServer":
        """Start it and wait until it is healthy. Raises RuntimeError with its last words."""
        self.launch()
        deadline = time.monotonic() + WAIT_S
        while not self._is_healthy():
            has_ended = self._process is None or self._process.poll() is not None
            if has_ended or time.monotonic() > deadline:
                raise RuntimeError(f"no server: {self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
        return self

    def kill9(self) -> None:
        """End it without a chance to say goodbye."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _is_healthy(self) -> bool:
        try:
            url = f"http://127.0.0.1:{self.port}/health"
            with urllib.request.urlopen(url, timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False
