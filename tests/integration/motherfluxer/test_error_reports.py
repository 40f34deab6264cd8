"""What a Sentry is told of an error, by a process of its own."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import brotli  # type: ignore[import-untyped]
import pytest

ROOT = Path(__file__).resolve().parents[3]
FAILS = """
import logging, django
from django.test import RequestFactory
django.setup()
log = logging.getLogger("apps.somewhere")
log.info("quiet")
request = RequestFactory().post("/asked?key=in-the-address", {"text": "in-the-body"})
def answer(content):
    raise ValueError("an answer failed")
try:
    answer("in-a-variable")
except ValueError:
    log.exception("it %s", "failed", extra={"job": "j-1", "request": "r-1"})
log.error("Internal Server Error", extra={"request": request, "status_code": 500})
logging.getLogger("django.request").error("%s: %s", "Service Unavailable", "/readyz")
raise RuntimeError("the end")
"""


@pytest.fixture
def sentry() -> Iterator[tuple[str, list[bytes]]]:
    """Yield a Sentry's DSN, and what it was sent."""
    sent: list[bytes] = []

    class Sentry(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            packed = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers["Content-Encoding"] == "br"
            sent.append(brotli.decompress(packed))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Sentry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://public@127.0.0.1:{server.server_address[1]}/1", sent
    server.shutdown()
    server.server_close()


def process_fails(folder: Path, **env: str) -> str:
    """Let a process log errors and end by one; what it wrote."""
    settings = {
        "DJANGO_SETTINGS_MODULE": "motherfluxer.settings.dev",
        "MOTHERFLUXER_VAR": str(folder),
    }
    done = subprocess.run(
        [sys.executable, "-c", FAILS],
        cwd=ROOT,
        env={**os.environ, **settings, **env},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    return done.stderr


def events_of(sent: list[bytes]) -> list[dict[str, Any]]:
    lines = [json.loads(line) for one in sent for line in one.splitlines()]
    return sorted((one for one in lines if "event_id" in one and "level" in one), key=str)


def test_a_sentry_is_told_what_the_log_says_and_no_more(
    sentry: tuple[str, list[bytes]], tmp_path: Path
) -> None:
    dsn, sent = sentry
    process_fails(tmp_path, SENTRY_DSN=dsn)
    by_words = {
        one.get("logentry", {}).get("message") or one["exception"]["values"][-1]["value"]: one
        for one in events_of(sent)
    }
    assert sorted(by_words) == ["Internal Server Error", "it %s", "the end"]
    failed = by_words["it %s"]
    assert failed["extra"] == {"job": "j-1", "request": "r-1"}
    assert failed["logger"] == "apps.somewhere"
    (error,) = failed["exception"]["values"]
    assert error["value"] == "an answer failed"
    assert [frame["function"] for frame in error["stacktrace"]["frames"]] == ["<module>", "answer"]
    assert by_words["Internal Server Error"]["extra"] == {"status_code": "500"}
    everything = b"".join(sent)
    for secret in (b"in-the-address", b"in-the-body", b"in-a-variable"):
        assert secret not in everything


def test_without_a_sentry_nothing_is_sent_and_the_log_names_no_query(
    sentry: tuple[str, list[bytes]], tmp_path: Path
) -> None:
    written = process_fails(tmp_path)
    assert sentry[1] == []
    lines = [json.loads(line) for line in written.splitlines() if line.startswith("{")]
    assert [line["message"] for line in lines] == ["quiet", "it failed", "Internal Server Error"]
    assert "in-the-address" not in written
