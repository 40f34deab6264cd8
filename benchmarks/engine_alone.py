"""The engine without a site: answers jobs from standard input, and says how long it took.

A line in is a `job` frame; a line out is `{"first_s": …, "whole_s": …, "text": …}`.
"""

import asyncio
import json
import sys
import time

from motherfluxer_model.core.answer import Piece
from motherfluxer_model.engines.transformers import TransformersEngine
from motherfluxer_wire.codec import decode_from_router
from motherfluxer_wire.frames import Job


async def answer(engine: TransformersEngine, job: Job) -> dict[str, float | str]:
    """Answer one job and time its first text."""
    text, first_s = "", 0.0
    started_at = time.perf_counter()
    async for part in engine.generate(job):
        if isinstance(part, Piece) and part.text:
            first_s = first_s or time.perf_counter() - started_at
            text += part.text
    return {"first_s": first_s, "whole_s": time.perf_counter() - started_at, "text": text}


async def main(model: str) -> None:
    """Load the model, say so, then answer until the input ends."""
    engine = TransformersEngine(model, model_name="alone", revision=None, dtype="auto", threads=0)
    await engine.prepare()
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        job = decode_from_router(line)
        if isinstance(job, Job):
            print(json.dumps(await answer(engine, job)), flush=True)
    await engine.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
