"""`make run`: everything starts, is kept running, and leaves nothing behind."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.servers import free_port
from tests.sites import ROOT, Program, base_env, http_request, wait_until

READY = "MotherFluxer is running"
StartLocal = Callable[..., Program]


@pytest.fixture
def var(tmp_path: Path) -> Path:
    return tmp_path / "var"


@pytest.fixture
def start_local(tmp_path: Path, var: Path) -> Iterator[StartLocal]:
    """Start `python -m motherfluxer.local` in a folder of its own."""
    started: list[Program] = []

    def start(port: int, command: list[str] | None = None) -> Program:
        env = {**base_env(), "MOTHERFLUXER_VAR": str(var), "PORT": str(port)}
        default = [sys.executable, "-m", "motherfluxer.local"]
        program = Program(command or default, env, tmp_path / f"run-{len(started)}.log")
        started.append(program)
        return program

    yield start
    for program in started:
        family = family_of(program) if program.is_running else []
        program.kill9()
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def family_of(program: Program) -> list[psutil.Process]:
    """Return a process and all that it started."""
    head = psutil.Process(program.process.pid)
    return [head, *head.children(recursive=True)]


def is_gone(process: psutil.Process) -> bool:
    """Whether a process has ended, waited for or not."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_ready(program: Program) -> None:
    """Wait for the words that say where to look."""

    def is_done() -> bool:
        assert program.is_running, program.output
        return READY in program.output

    wait_until(is_done, "ready", 120)


def child_named(program: Program, part: str) -> psutil.Process:
    """Return the child whose command line holds some text."""
    return next(one for one in family_of(program) if part in " ".join(one.cmdline()))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_nothing_is_left_behind(start_local: StartLocal, how: signal.Signals) -> None:
    program = start_local(free_port())
    wait_ready(program)
    family = family_of(program)
    assert len(family) in (5, 6)  # head, site, instance with its engine, housekeeping; a spare
    program.process.send_signal(how)
    wait_until(lambda: all(is_gone(one) for one in family), f"all gone after {how.name}", 20)
    if how is not signal.SIGKILL:
        assert program.process.wait() == 0
        assert "Traceback" not in program.output


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_to_make_alone_stops_everything(
    start_local: StartLocal, tmp_path: Path, how: signal.Signals
) -> None:
    # As the Makefile does it; without the Makefile's own check of what is installed.
    makefile = tmp_path / "Makefile"
    makefile.write_text(f"run:\n\t@{sys.executable} -m motherfluxer.local --bound-to-parent\n")
    make = shutil.which("make")
    assert make, "make is missing"
    program = start_local(free_port(), [make, "-f", str(makefile), "run"])
    wait_ready(program)
    family = family_of(program)
    program.process.send_signal(how)
    wait_until(lambda: all(is_gone(one) for one in family), f"all gone after {how.name}", 20)


def run_once_and_read(start_local: StartLocal, var: Path, port: int) -> dict[str, str]:
    """Run everything until it is ready, stop it, return what it keeps secret."""
    program = start_local(port)
    wait_ready(program)
    program.process.send_signal(signal.SIGINT)
    assert program.process.wait(30) == 0
    secrets = ("first-run.txt", "local-instance.credential", "secret-key")
    assert {(var / name).stat().st_mode & 0o777 for name in secrets} == {0o600}
    return {name: (var / name).read_text() for name in secrets}


def test_a_second_run_keeps_accounts_and_credential(start_local: StartLocal, var: Path) -> None:
    port = free_port()
    first = run_once_and_read(start_local, var, port)
    assert run_once_and_read(start_local, var, port) == first


def test_a_dead_instance_is_started_again(start_local: StartLocal) -> None:
    port = free_port()
    program = start_local(port)
    wait_ready(program)
    joined = "as local-tiny (session"
    wait_until(lambda: program.output.count(joined) == 1, "connected")
    before = child_named(program, "motherfluxer-model")
    os.kill(before.pid, signal.SIGKILL)
    wait_until(lambda: "[instance] ended with -9" in program.output, "noticed")
    wait_until(lambda: program.output.count(joined) == 2, "connected again")
    assert child_named(program, "motherfluxer-model").pid != before.pid
    parts = json.loads(http_request(port, "GET", "/readyz").body)
    assert parts["status"] == "ready"


def test_a_revoked_credential_is_replaced_at_the_next_start(
    start_local: StartLocal, var: Path
) -> None:
    port = free_port()
    program = start_local(port)
    wait_ready(program)
    first = (var / "local-instance.credential").read_text()
    env = {**base_env(), "MOTHERFLUXER_VAR": str(var), "PORT": str(port)}
    revoke = [sys.executable, "manage.py", "revoke_credential", "local"]
    subprocess.run(revoke, cwd=ROOT, env=env, check=True, stdout=subprocess.DEVNULL)
    program.process.send_signal(signal.SIGINT)
    assert program.process.wait(30) == 0
    program = start_local(port)
    wait_ready(program)
    assert (var / "local-instance.credential").read_text() != first


def test_a_port_in_use_is_said_in_words(start_local: StartLocal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        program = start_local(port)
        assert program.process.wait(30) == 1
    assert f"Port {port} cannot be used" in program.output
    assert "make run PORT=" in program.output
