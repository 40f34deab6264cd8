"""Starts everything on one machine and keeps it running: what `make run` does.

Its children: the site, its housekeeping, one model instance and, with Redis, the router. Each is in
a session of its own, so that a Ctrl-C reaches this process alone, which then stops them in order;
and each asks the kernel to be killed with this process, so that nothing is left behind however it
ends.
"""

import argparse
import asyncio
import contextlib
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from motherfluxer.env import BASE_DIR, Environment, read_environment
from motherfluxer.processes import die_with_parent
from motherfluxer.sockets import bound_sockets

STOP_S: Final = 30.0
KILL_S: Final = 8.0
READY_S: Final = 120.0
RESTART_FIRST_S: Final = 0.5
RESTART_MOST_S: Final = 15.0
STEADY_S: Final = 30.0
WATCH_S: Final = 0.25
_LINE_BYTES: Final = 1024 * 1024
TINY_MODEL: Final = BASE_DIR / "model_container" / "tiny" / "motherfluxer-tiny"


def say(text: str) -> None:
    """Print for the person who watches; a terminal that has gone away is no reason to stop."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


@dataclass(slots=True)
class Child:
    """A program that should be running."""

    name: str
    command: list[str]
    process: asyncio.subprocess.Process | None = None
    is_wanted: bool = True

    async def keep_running(self) -> None:
        """Run it, and again when it ends unasked, waiting longer each time it fails early."""
        pause_s = RESTART_FIRST_S
        while self.is_wanted:
            started_at = time.monotonic()
            await self._run_once()
            if not self.is_wanted or self.process is None:
                return
            if time.monotonic() - started_at > STEADY_S:
                pause_s = RESTART_FIRST_S
            say(f"[{self.name}] ended with {self.process.returncode}; again in {pause_s:g} s")
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, RESTART_MOST_S)

    async def stop(self, patience_s: float) -> None:
        """Ask it to end, and make it end when it does not."""
        self.is_wanted = False
        process = self.process
        if process is None or process.returncode is not None:
            return
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), patience_s)
        except TimeoutError:
            say(f"[{self.name}] does not stop by itself; killed")
        self._signal(signal.SIGKILL)
        await process.wait()

    def kill(self) -> None:
        """End it now."""
        self.is_wanted = False
        self._signal(signal.SIGKILL)

    def _signal(self, signal_number: int) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal_number)

    async def _run_once(self) -> None:
        own_pid = os.getpid()
        self.process = await asyncio.create_subprocess_exec(
            *self.command,
            cwd=BASE_DIR,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(own_pid),
            limit=_LINE_BYTES,
        )
        if not self.is_wanted:
            self._signal(signal.SIGTERM)
        await self._relay_output(self.process)
        await self.process.wait()

    async def _relay_output(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            return
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # a line longer than the buffer: left out, the next one follows
                continue
            if not line:
                return
            if self.is_wanted:
                say(f"[{self.name}] {line.decode(errors='replace').rstrip()}")


def instance_command(environment: Environment) -> list[str]:
    """Return the command line of the bundled model's instance."""
    program = Path(sys.executable).with_name("motherfluxer-model")
    return [
        str(program),
        "run",
        f"--router=ws://127.0.0.1:{environment.port}/",
        f"--credential-file={environment.local_credential_path}",
        f"--model={TINY_MODEL}",
        "--name=local-tiny",
        "--health-port=0",
    ]


def children_of(environment: Environment) -> list[Child]:
    """Return what runs, in the order in which it stops: what answers need comes last."""
    children = [
        Child("site", [sys.executable, "-m", "motherfluxer.server"]),
        Child("housekeeping", [sys.executable, "-m", "motherfluxer.housekeeping"]),
        Child("instance", instance_command(environment)),
    ]
    if environment.redis_url is not None:
        children.append(Child("router", [sys.executable, "manage.py", "runrouter"]))
    return children


def is_ready(port: int) -> bool:
    """Whether the site says that a question could be answered now."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def welcome_text(environment: Environment) -> str:
    """Return where to look and how to sign in."""
    domain, port = environment.domain, environment.port
    rows = (
        ("Chat, no account needed", f"http://localhost:{port}", ""),
        ("Sign up, chat without limit", f"http://user.{domain}:{port}", ""),
        ("For operators", f"http://admin.{domain}:{port}", f"operator@{domain}"),
        ("For the superadmin", f"http://superadmin.{domain}:{port}", f"superadmin@{domain}"),
        ("The passwords of these two", str(environment.var_dir / "first-run.txt"), ""),
        ("  and what else they need", "a second factor, set up at the first sign-in", ""),
        ("Everything it keeps", str(environment.var_dir), ""),
        ("Stop", "Ctrl-C", ""),
    )
    width = max(len(where) for _, where, _ in rows)
    lines = [f"    {what:<29}{where:<{width}}  {who}".rstrip() for what, where, who in rows]
    head = "  MotherFluxer is running, and a model instance is connected."
    return "\n".join(["", head, "", *lines, ""])


def catches_sigint(pid: int) -> bool:
    """Whether a process has a handler for Ctrl-C; True where that cannot be read."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True
    mask = next((line for line in status.splitlines() if line.startswith("SigCgt:")), "SigCgt: 2")
    return bool(int(mask.split()[1], 16) & 1 << (signal.SIGINT - 1))


def parent_watch() -> Callable[[], bool]:
    """Return a test for "the parent has been told to stop".

    `make` that gets a Ctrl-C to itself alone tells nobody and waits for its child; all that can be
    seen of it is that it has put its handler back to the default.
    """
    parent_pid = os.getppid()
    was_caught = catches_sigint(parent_pid)
    return lambda: was_caught and os.getppid() == parent_pid and not catches_sigint(parent_pid)


class Local:
    """Everything that runs, and its end."""

    def __init__(self, environment: Environment, *, is_bound_to_parent: bool) -> None:
        self.environment = environment
        self.children = children_of(environment)
        self.stopping = asyncio.Event()
        self.was_told: Callable[[], bool] = parent_watch() if is_bound_to_parent else lambda: False

    async def run(self) -> int:
        """Start the children, stay until a signal, stop them."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._stop_asked)
        running = [asyncio.create_task(child.keep_running()) for child in self.children]
        greeting = asyncio.create_task(self._greet())
        while not self.stopping.is_set() and not self.was_told():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), WATCH_S)
        greeting.cancel()
        self.stopping.set()
        say("\nStopping …")
        for child in self.children:
            child.is_wanted = False
        site, housekeeping, *others = self.children
        await asyncio.gather(site.stop(STOP_S), housekeeping.stop(KILL_S))
        for child in others:
            await child.stop(KILL_S)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, greeting, return_exceptions=True)
        say("Stopped. Everything is kept; `make run` starts it again.")
        return 0

    def _stop_asked(self) -> None:
        if self.stopping.is_set():
            for child in self.children:
                child.kill()
        self.stopping.set()

    async def _greet(self) -> None:
        deadline = time.monotonic() + READY_S
        while not await asyncio.to_thread(is_ready, self.environment.port):
            await asyncio.sleep(0.2)
            if time.monotonic() > deadline:
                say("The site or its model is not ready yet; the lines above may say why.")
                deadline = time.monotonic() + READY_S
        say(welcome_text(self.environment))


def port_problem(hosts: list[str], port: int) -> str | None:
    """Say in words why the site cannot listen there, or None when it can."""
    try:
        for listener in bound_sockets(hosts, port):
            listener.close()
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        return f"Port {port} cannot be used ({why}). Choose another one:  make run PORT=8001"
    return None


def prepare() -> int:
    """Make tables, first users and the credential, in a process that ends; return its status."""
    own_pid = os.getpid()
    return subprocess.run(
        [sys.executable, "-m", "motherfluxer.local_setup"],
        cwd=BASE_DIR,
        preexec_fn=lambda: die_with_parent(own_pid),
    ).returncode


def main() -> int:
    """Prepare, run, stop; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m motherfluxer.local", description=__doc__)
    parser.add_argument(
        "--bound-to-parent", action="store_true", help="stop when the parent process ends"
    )
    arguments = parser.parse_args()
    if arguments.bound_to_parent:
        die_with_parent(os.getppid(), signal.SIGTERM)
    environment = read_environment()
    problem = port_problem(environment.bind, environment.port)
    if problem:
        sys.stderr.write(problem + "\n")
        return 1
    say("Preparing …")
    try:
        status = prepare()
    except KeyboardInterrupt:
        return 130
    local = Local(environment, is_bound_to_parent=arguments.bound_to_parent)
    return status or asyncio.run(local.run())


if __name__ == "__main__":
    sys.exit(main())
