"""What `/v1` costs over the router alone, in processor time by request.

In one event loop, in turns: a job that is handed straight to the router, and the same question
through the site's ASGI application with a key, its limits, its usage and its line in the log. The
instance lives in the same loop and answers at once; both ways pay for it alike. Once as the
embedded default, once with limits in Redis. The goal: at most 300 µs at the median.
"""

import asyncio
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, Final

from tests.servers import running_valkey

GOAL_US: Final = 300.0
ROUNDS: Final = 3000
WARM_ROUNDS: Final = 300
MODEL: Final = "bench"
QUESTION: Final = "How does the router choose an instance when several are free?"
ANSWER: Final = "The one that will be done soonest."
ROOT: Final = Path(__file__).resolve().parent.parent

Ask = Callable[[], Awaitable[None]]


async def measured_us(ways: dict[str, Ask]) -> dict[str, float]:
    """Return each way's median processor time, all of them asked in turns."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(WARM_ROUNDS + ROUNDS):
        for name, ask in ways.items():
            began = time.process_time_ns()
            await ask()
            if number >= WARM_ROUNDS:
                times[name].append((time.process_time_ns() - began) / 1000)
    return {name: median(taken) for name, taken in times.items()}


@contextlib.contextmanager
def joined_instance(router: Any, admission: Any) -> Iterator[None]:
    """Connect an instance that answers at once."""
    from apps.router.live.links import InstanceLink
    from motherfluxer_wire import frames

    class ImmediateLink(InstanceLink):
        def send(self, frame: frames.Frame) -> None:
            if isinstance(frame, frames.Job):
                asyncio.get_running_loop().call_soon(self.answer, frame)

        def answer(self, job: frames.Job) -> None:
            router.gateway.frame_received(frames.Chunk(job.job, job.attempt, 0, ANSWER, 8), self)
            usage = frames.Usage(prompt_tokens=14, completion_tokens=8)
            done = frames.Done(job.job, job.attempt, 1, "stop", usage)
            router.gateway.frame_received(done, self)

    model = frames.Model(name=MODEL, context_tokens=8192, max_output_tokens=4096)
    hello = frames.Hello(agent="bench/1", instance="bench", models=[model], slots=8)
    link = ImmediateLink(session="bench", admission=admission)
    router.gateway.link_opened(link, hello)

    async def live() -> None:
        while True:
            await asyncio.sleep(1.0)
            router.gateway.frame_received(frames.Heartbeat(running=[], slots=8), link)

    heart = asyncio.create_task(live())
    try:
        yield
    finally:
        heart.cancel()


async def ask_router() -> None:
    """Hand a job to the router and wait for its answer."""
    from apps.router.live.streams import JobRequest
    from apps.router.services import job_submit
    from motherfluxer_wire.frames import Message

    request = JobRequest(
        messages=(Message("user", QUESTION),),
        requester="user:1",
        service_class="registered",
        request_id="bench",
        model_name=MODEL,
        may_wait_for_instance=False,
    )
    stream = await job_submit(request=request)
    await stream.wait_ended()
    assert stream.text == ANSWER


def api_asker(application: Any, key: str, *, is_streamed: bool) -> Ask:
    """Return what asks the same through the application, as a server would."""
    messages = [{"role": "user", "content": QUESTION}]
    body = json.dumps({"model": MODEL, "messages": messages, "stream": is_streamed}).encode()
    headers = [
        (b"host", b"localhost:8000"),
        (b"accept-encoding", b"gzip, deflate"),
        (b"connection", b"keep-alive"),
        (b"accept", b"application/json"),
        (b"content-type", b"application/json"),
        (b"user-agent", b"OpenAI/Python 2.0.0"),
        (b"authorization", b"Bearer " + key.encode()),
        (b"content-length", str(len(body)).encode()),
    ]
    path = "/v1/chat/completions"

    async def ask() -> None:
        sent: list[dict[str, Any]] = []
        is_read = False

        async def receive() -> dict[str, Any]:
            nonlocal is_read
            if is_read:
                await asyncio.get_running_loop().create_future()
            is_read = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "scheme": "http",
            "headers": headers,
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 8000),
            "http_version": "1.1",
        }
        await application(scope, receive, send)
        assert sent[0]["status"] == 200, sent
        assert ANSWER.encode() in b"".join(message["body"] for message in sent[1:])

    return ask


async def measure(key: str, credential: str) -> dict[str, float]:
    """Run the router and ask it both ways."""
    from apps.router import ports
    from apps.router.live.runtime import running_router
    from motherfluxer.asgi import application

    admission = await ports.instance_gate.get().admit(credential=credential, address="127.0.0.1")
    async with running_router() as router:
        with joined_instance(router, admission):
            return await measured_us(
                {
                    "router": ask_router,
                    "whole": api_asker(application, key, is_streamed=False),
                    "streamed": api_asker(application, key, is_streamed=True),
                }
            )


def measure_here() -> None:
    """Measure with this process's environment, and print the figures as JSON."""
    import django
    import uvloop
    from django.conf import settings
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    call_command("first_run", stdout=io.StringIO())
    operator = f"operator@{settings.MOTHERFLUXER_DOMAIN}"
    key = _printed("create_api_key", "--user", operator, "--name", "bench")
    credential = _printed("issue_credential", "--operator", operator, "--name", "bench")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(measure(key, credential))))


def _printed(*command: str) -> str:
    from django.core.management import call_command

    out = io.StringIO()
    call_command(*command, stdout=out)
    return out.getvalue().strip()


def measured_with(environment: dict[str, str]) -> dict[str, float]:
    """Measure in a process and a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="motherfluxer-api-cost-") as folder:
        env = {
            **{name: value for name, value in os.environ.items() if not name.endswith("_URL")},
            "DJANGO_SETTINGS_MODULE": "motherfluxer.settings.dev",
            "MOTHERFLUXER_VAR": folder,
            "API_REQUESTS_PER_MINUTE": "1000000",
            **environment,
        }
        command = [sys.executable, "-m", "benchmarks.api_cost", "--here"]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=env,
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> int:
    """Print a table: microseconds by request."""
    if "--here" in sys.argv[1:]:
        measure_here()
        return 0
    print(
        f"Processor time by request in µs, median of {ROUNDS} in turns; goal {GOAL_US:.0f} more.\n"
    )
    print(f"{'limits in':12}{'router alone':>14}{'/v1 whole':>22}{'/v1 streamed':>22}")
    worst = 0.0
    with (
        tempfile.TemporaryDirectory(prefix="motherfluxer-api-cost-") as folder,
        running_valkey(Path(folder)) as redis_url,
    ):
        for name, environment in (("memory", {}), ("Redis", {"REDIS_URL": redis_url})):
            found = measured_with(environment)
            alone, cells = found["router"], ""
            for way in ("whole", "streamed"):
                more = found[way] - alone
                worst = max(worst, more)
                cells += f"{found[way]:12.0f} (+{more:.0f})".rjust(22)
            print(f"{name:12}{alone:14.0f}{cells}")
    return 0 if worst <= GOAL_US else 1


if __name__ == "__main__":
    sys.exit(main())
