"""Real server processes are stopped, reloaded and killed: answers that run end whole."""

import contextlib
import http.client
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.acceptance.chats import StreamedAnswer
from tests.acceptance.conftest import SiteFactory
from tests.sites import Site, wait_until

GUNICORN = (
    *(str(Path(sys.executable).with_name("gunicorn")), "-c", "motherfluxer/gunicorn.conf.py"),
    "motherfluxer.asgi:application",
)
PLAIN = (sys.executable, "-m", "motherfluxer.server")
WORDS = " ".join(f"wörd{n}🙂" for n in range(60))
SLOW = {"MOTHERFLUXER_ECHO_DELAY_MS": "40"}


def workers_of(site: Site) -> list[psutil.Process]:
    """Return the children of the site's master."""
    assert site.program is not None
    return psutil.Process(site.program.process.pid).children()


def listens(process: psutil.Process) -> bool:
    """Whether it takes connections."""
    connections = process.net_connections(kind="tcp")
    return any(one.status == psutil.CONN_LISTEN for one in connections)


def is_refused(port: int) -> bool:
    """Whether nobody listens."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


@contextlib.contextmanager
def kept_connection(site: Site) -> Iterator[http.client.HTTPConnection]:
    """Yield a connection that has had one answer and is kept alive."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
    connection.request("GET", "/healthz")
    response = connection.getresponse()
    response.read()
    assert not response.will_close
    yield connection
    connection.close()


def has_ended(connection: http.client.HTTPConnection) -> bool:
    """Whether the server has closed an idle connection."""
    assert connection.sock is not None
    connection.sock.settimeout(10)
    return connection.sock.recv(1) == b""


class Running:
    """A site with an answer that has just begun."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.key = site.api_key()
        self.instance = site.start_instance(env=SLOW).wait_connected()
        self.answer = StreamedAnswer(site, self.key, WORDS, model="echo")
        self.seen: list[str] = []

    def read_while(self, act: Callable[[], None]) -> str:
        """Read the answer to its end; act after its third piece."""
        return self.answer.read(3, act)


@pytest.fixture
def gunicorn_site(start_site: SiteFactory) -> Site:
    return start_site(command=GUNICORN)


@pytest.fixture(params=[PLAIN, GUNICORN], ids=["plain", "gunicorn"])
def running(request: pytest.FixtureRequest, start_site: SiteFactory) -> Running:
    return Running(start_site(command=request.param))


def test_a_quiet_connection_is_kept_for_as_long_as_the_settings_say(
    start_site: SiteFactory,
) -> None:
    site = start_site(env={"KEEP_ALIVE_SECONDS": "1"})
    with kept_connection(site) as connection:
        connection.sock.settimeout(30)
        assert connection.sock.recv(1) == b""


def test_a_stopping_site_ends_its_answers_and_takes_nothing_new(running: Running) -> None:
    site, found = running.site, []
    assert site.program is not None
    stop = site.program.process.terminate

    def act() -> None:
        with kept_connection(site) as idle:
            stop()
            found.append(has_ended(idle))
        wait_until(lambda: is_refused(site.port), "nobody listens while the answer goes on")
        found.append(running.answer.text != WORDS)
        stop()  # said again, it changes nothing

    assert running.read_while(act) == WORDS
    assert running.answer.finish_reason == "stop"
    assert found == [True, True]
    assert site.stop() in (0, -signal.SIGTERM)
    assert "Traceback" not in site.program.output


def test_who_has_connected_before_it_stops_is_answered(start_site: SiteFactory) -> None:
    site = start_site(command=PLAIN)
    assert site.program is not None
    process = psutil.Process(site.program.process.pid)
    process.suspend()
    asking = [http.client.HTTPConnection("127.0.0.1", site.port, timeout=30) for _ in range(20)]
    for connection in asking:
        connection.request("GET", "/healthz")
    process.terminate()
    process.resume()
    assert [connection.getresponse().status for connection in asking] == [200] * 20
    for connection in asking:
        connection.close()


def test_a_worker_that_is_stopped_is_replaced_after_its_answers(gunicorn_site: Site) -> None:
    running = Running(gunicorn_site)
    [worker] = workers_of(gunicorn_site)
    asked: list[threading.Thread] = []
    answered: list[int] = []

    def act() -> None:
        worker.terminate()
        wait_until(lambda: not listens(worker), "the worker takes nothing new")
        asked.append(threading.Thread(target=lambda: answered.append(status_now(gunicorn_site))))
        asked[0].start()

    assert running.read_while(act) == WORDS
    asked[0].join()
    assert answered == [200]  # it waited for the next worker, and was not refused
    wait_until(lambda: not worker.is_running(), "the stopped worker has gone")
    running.instance.wait_connected()


def status_now(site: Site) -> int:
    """Ask once."""
    return site.get("/healthz").status


def test_a_reload_answers_with_the_new_worker_while_the_old_one_ends(gunicorn_site: Site) -> None:
    running = Running(gunicorn_site)
    [old] = workers_of(gunicorn_site)
    assert gunicorn_site.program is not None
    master = gunicorn_site.program.process
    during: list[tuple[int, bool]] = []

    def act() -> None:
        master.send_signal(signal.SIGHUP)
        wait_until(lambda: len(workers_of(gunicorn_site)) == 2, "a second worker")
        during.append((status_now(gunicorn_site), running.answer.text == WORDS))

    assert running.read_while(act) == WORDS
    assert during == [(200, False)]
    wait_until(lambda: not old.is_running(), "the old worker has gone")
    assert gunicorn_site.stop() == 0


def test_a_killed_worker_is_replaced(gunicorn_site: Site) -> None:
    [worker] = workers_of(gunicorn_site)
    os.kill(worker.pid, signal.SIGKILL)
    wait_until(lambda: workers_of(gunicorn_site) != [worker], "another worker")
    assert status_now(gunicorn_site) == 200
    running = Running(gunicorn_site)
    assert running.read_while(lambda: None) == WORDS


def test_workers_end_with_their_master(gunicorn_site: Site) -> None:
    [worker] = workers_of(gunicorn_site)
    assert gunicorn_site.program is not None
    os.kill(gunicorn_site.program.process.pid, signal.SIGKILL)
    wait_until(lambda: not worker.is_running(), "the worker has ended too")
    assert is_refused(gunicorn_site.port)


def test_everything_that_gunicorn_says_is_json(gunicorn_site: Site) -> None:
    gunicorn_site.stop()
    assert gunicorn_site.program is not None
    lines = gunicorn_site.program.output.splitlines()
    assert any('"gunicorn.error"' in line for line in lines)
    assert [line for line in lines if not line.startswith('{"at": ')] == []
