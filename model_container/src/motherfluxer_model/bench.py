"""`motherfluxer-model bench`: what the loaded engine gives at 1, 2, 4, … jobs at once."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

from motherfluxer_model import __version__
from motherfluxer_model.core.speed import Level, advise, draw_table
from motherfluxer_model.engines.port import Engine
from motherfluxer_model.errors import EngineLoadError
from motherfluxer_model.meter import Meter
from motherfluxer_model.options import Options
from motherfluxer_model.program import build_engine

UPSTREAM_S: Final = 30.0


async def bench(options: Options) -> int:
    """Load, measure each level, print; give the process's exit code. Raises ContainerError."""
    async with prepared_engine(replace(options, slots=max(options.levels))) as engine:
        _say(f"loaded {options.source} on {engine.hardware.get('device', '?')}")
        meter, levels = Meter(engine), []
        for concurrency in options.levels:
            _say(f"{concurrency} at once, {options.seconds:g} s …")
            levels.append(await meter.measure(concurrency, options.seconds))
        if options.is_json:
            print(json.dumps(_figures(options, engine, levels), indent=2))
        else:
            print(draw_table(levels), *advise(levels, options.slots), sep="\n")
    return 0


@asynccontextmanager
async def prepared_engine(options: Options) -> AsyncIterator[Engine]:
    """Give the loaded engine; it is closed at the end. Raises EngineLoadError."""
    engine = build_engine(options)
    try:
        await _prepare(engine, options)
        yield engine
    finally:
        await engine.close()


async def _prepare(engine: Engine, options: Options) -> None:
    """Prepare; `run` waits for a server that is away, somebody who measures does not."""
    try:
        async with asyncio.timeout(UPSTREAM_S if options.upstream is not None else None):
            await engine.prepare()
    except TimeoutError as error:
        words = f"{options.source} has not come up within {UPSTREAM_S:g} s; is the server running?"
        raise EngineLoadError(words) from error


def _figures(options: Options, engine: Engine, levels: list[Level]) -> dict[str, Any]:
    return {
        "version": __version__,
        "engine": options.engine,
        "model": options.source,
        "dtype": options.dtype,
        "hardware": engine.hardware,
        "levels": [level.as_dict() for level in levels],
        "advice": advise(levels, options.slots),
    }


def _say(words: str) -> None:
    """Tell how far it is, beside the result."""
    print(words, file=sys.stderr, flush=True)
