"""What letters through Redis cost: tokens from one process's post to another's.

    .venv/bin/python -m benchmarks.apart_letters [--streams 64] [--rate 50] [--seconds 10]

CPU per token of the sender and of the receiver (what making the letters costs is subtracted), and
the delay from one to the other.
"""

import argparse
import asyncio
import multiprocessing
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop

from apps.router.apart.post import Post
from apps.router.core.letters import Between, FromLink
from motherfluxer_wire.frames import Chunk
from tests.servers import running_valkey

SENDER, RECEIVER = "00000001", "00000002"


async def say(options: argparse.Namespace, post: Post | None) -> float:
    """Say all tokens at their times; return the CPU per token in µs. None: say them to nobody."""
    begun, used = time.monotonic(), time.process_time()
    steps = int(options.rate * options.seconds)
    for step in range(steps):
        for number in range(options.streams):
            due = begun + (step + number / options.streams) / options.rate
            if (wait_s := due - time.monotonic()) > 0.001:
                await asyncio.sleep(wait_s)
            chunk = Chunk(f"{number:032x}", 1, step, f"{time.monotonic():15.4f}", 1, [step])
            letter = FromLink(f"{SENDER}.{number:016x}", chunk)
            if post:
                post.tell_gateway(RECEIVER, letter)
    used_us: float = (time.process_time() - used) / (steps * options.streams) * 1e6
    return used_us


async def send(options: argparse.Namespace, url: str) -> float:
    """Be the sender; return its CPU per token in µs."""
    post = Post(redis_url=url, gateway_id=SENDER)
    await post.start()
    used_us = await say(options, post)
    await post.stop(within_s=5.0)
    return used_us


def receive(pipe: Connection, url: str, count: int) -> None:
    """Be the receiver, until all have come."""
    uvloop.run(_receive(pipe, url, count))


async def _receive(pipe: Connection, url: str, count: int) -> None:
    post, delays, is_whole = (
        Post(redis_url=url, gateway_id=RECEIVER),
        list[float](),
        asyncio.Event(),
    )

    def take(_: str, letters: list[Between]) -> None:
        now = time.monotonic()
        for letter in letters:
            if isinstance(letter, FromLink) and isinstance(letter.frame, Chunk):
                delays.append(now - float(letter.frame.text))
        if len(delays) >= count:
            is_whole.set()

    post.inbox.receive_between = take
    await post.start()
    used = time.process_time()
    pipe.send(None)
    await is_whole.wait()
    pipe.send(((time.process_time() - used) / count * 1e6, delays))
    await post.stop(within_s=5.0)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    count = int(options.rate * options.seconds) * options.streams
    made_us = uvloop.run(say(options, None))
    with tempfile.TemporaryDirectory() as folder, running_valkey(Path(folder)) as url:
        ours, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        child = context.Process(target=receive, args=(theirs, url, count))
        child.start()
        ours.recv()
        sent_us = uvloop.run(send(options, url))
        received_us, delays = ours.recv()
        child.join()
    ordered = sorted(delays)
    print(f"{options.streams} streams x {options.rate:g} tokens/s, CPU per token:")
    print(
        f"  sender {sent_us - made_us:.1f} µs (made for {made_us:.1f}); receiver {received_us:.1f}"
    )
    print(f"  delay: median {statistics.median(ordered) * 1e3:.2f} ms,", end=" ")
    print(f"99th percentile {ordered[int(len(ordered) * 0.99)] * 1e3:.1f} ms")
    print(f"  {len(delays)} of {count} letters arrived")


if __name__ == "__main__":
    main()
