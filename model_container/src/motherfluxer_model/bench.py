"""`motherfluxer-model bench`: what the loaded engine gives at 1, 2, 4, … jobs at once."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from motherfluxer_model import __version__
from motherfluxer_model.core.speed import Level, advise, draw_table
from motherfluxer_model.engines.port import Engine
from motherfluxer_model.meter import Meter
from motherfluxer_model.options import Options
from motherfluxer_model.program import build_engine


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
        await engine.prepare()
        yield engine
    finally:
        await engine.close()


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
