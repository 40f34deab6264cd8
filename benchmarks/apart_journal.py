"""What it costs to write answers into their journals, and to follow them from another process.

    .venv/bin/python -m benchmarks.apart_journal [--streams 64] [--rate 50] [--seconds 10]

CPU per token of the home with and without a journal (its own growth subtracted), and of a process
that follows all of the streams; the delay from a chunk to its reader there.
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

from apps.router.apart.connection import redis_connected
from apps.router.apart.followers import Followers
from apps.router.apart.journal import Journal
from apps.router.apart.post import Post
from apps.router.live.streams import Ended, JobRequest, JobStream, Piece, Started
from motherfluxer_wire.frames import Chunk, Message
from tests.servers import running_valkey

STAMP_CHARS = 15


def new_stream(number: int) -> JobStream:
    """Return a stream that an instance has begun to answer."""
    request = JobRequest(
        messages=(Message("user", "Tell me of the sea. " * 20),),
        requester=f"user:{number}",
        service_class="registered",
        request_id=f"r{number}",
    )
    return JobStream(f"{number:032x}", request, submitted_at=time.time())


async def grow(streams: list[JobStream], *, rate: float, seconds: float) -> int:
    """Let each stream grow at that rate, a token's text being the time; return how many tokens."""
    begun, tokens = time.monotonic(), 0
    for step in range(int(rate * seconds)):
        for number, stream in enumerate(streams):
            due = begun + (step + number / len(streams)) / rate
            if (wait_s := due - time.monotonic()) > 0.001:
                await asyncio.sleep(wait_s)
            text = f"{time.monotonic():15.4f}"
            chunk = Chunk(stream.job_id, 1, stream.next_seq, text, 1, [step])
            stream.accept(chunk, owner="s")
            tokens += 1
    return tokens


async def home(options: argparse.Namespace, url: str, *, follower: Connection | None) -> float:
    """Return the CPU per token in µs of the process that holds the streams."""
    post = Post(redis_url=url, gateway_id="00000001")
    async with redis_connected(url) as redis:
        streams = [new_stream(number) for number in range(options.streams)]
        if follower:
            journal = Journal(redis=redis, wake=post.wake, on_taken=lambda _: None)
            post.add_writer(journal)
            await post.start()
        for stream in streams:
            if follower:
                journal.open(stream)
            stream.begin_attempt(Started("a", "m", 1), owner="s", fingerprint="f")
        if follower:
            await asyncio.gather(*(journal.safe(stream) for stream in streams))
            follower.send([stream.job_id for stream in streams])
            await asyncio.to_thread(follower.recv)
        used = time.process_time()
        tokens = await grow(streams, rate=options.rate, seconds=options.seconds)
        used = time.process_time() - used
        for stream in streams:
            stream.end(Ended("stop"), at=0.0)
        if follower:
            await asyncio.gather(*(journal.safe(stream) for stream in streams))
            await post.stop(within_s=5.0)
    return used / tokens * 1e6


def follow(pipe: Connection, url: str) -> None:
    """Be the process that follows."""
    uvloop.run(_follow(pipe, url))


async def _follow(pipe: Connection, url: str) -> None:
    async with redis_connected(url) as redis:
        followers = Followers(redis=redis, gateway_id="00000002")
        job_ids = await asyncio.to_thread(pipe.recv)
        replicas = [await followers.follow(job_id) for job_id in job_ids]
        delays: list[float] = []
        readers = [asyncio.create_task(_read(stream, delays)) for stream in replicas if stream]
        await asyncio.sleep(0)
        used = time.process_time()
        pipe.send(None)
        await asyncio.gather(*readers)
        used = time.process_time() - used
        pipe.send((used / len(delays) * 1e6, delays))
        await followers.stop()


async def _read(stream: JobStream, delays: list[float]) -> None:
    async for event in stream.read():
        if isinstance(event, Piece):
            now = time.monotonic()
            stamps = range(0, len(event.text), STAMP_CHARS)
            delays += [now - float(event.text[at : at + STAMP_CHARS]) for at in stamps]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_valkey(Path(folder)) as url:
        alone = uvloop.run(home(options, url, follower=None))
        ours, theirs = multiprocessing.Pipe()
        child = multiprocessing.get_context("spawn").Process(target=follow, args=(theirs, url))
        child.start()
        journalled = uvloop.run(home(options, url, follower=ours))
        followed, delays = ours.recv()
        child.join()
    print(f"{options.streams} streams x {options.rate:g} tokens/s, CPU per token:")
    print(f"  growth alone {alone:.1f} µs; with its journal {journalled:.1f} µs:")
    print(f"  journal {journalled - alone:.1f} µs; follower {followed:.1f} µs")
    ordered = sorted(delays)
    p99 = ordered[int(len(ordered) * 0.99)]
    print(f"  delay to the follower's reader: median {statistics.median(ordered) * 1e3:.1f} ms,")
    print(f"  99th percentile {p99 * 1e3:.1f} ms; {len(delays)} tokens")


if __name__ == "__main__":
    main()
