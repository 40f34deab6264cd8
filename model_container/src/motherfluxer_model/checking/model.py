"""Looking at the model: it loads, it answers, and how fast."""

import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from motherfluxer_model.bench import prepared_engine
from motherfluxer_model.checking.machine import NVIDIA_DEVICE
from motherfluxer_model.core.findings import Finding, Grade
from motherfluxer_model.core.speed import Level, Sample, advise
from motherfluxer_model.engines.port import Engine
from motherfluxer_model.errors import ContainerError
from motherfluxer_model.meter import Meter
from motherfluxer_model.options import Options
from motherfluxer_wire.limits import MAX_SLOTS_COUNT

LEVEL_S: Final = 3.0
TRIAL_TOKENS: Final = 16
FURTHER: Final = 4  # so many times the slots are tried as well


async def check_model(options: Options) -> AsyncIterator[Finding]:
    """Load the model, let it answer, measure it."""
    further = min(MAX_SLOTS_COUNT, options.slots * FURTHER)
    started_s = time.monotonic()
    try:
        async with prepared_engine(replace(options, slots=further)) as engine:
            took_s = time.monotonic() - started_s
            names = ", ".join(model.name for model in engine.models)
            yield Finding("model", Grade.OK, f"{names}: loaded in {took_s:.1f} s")
            yield check_device(engine.hardware, NVIDIA_DEVICE)
            async for finding in _check_speed(engine, options.slots, further):
                yield finding
    except ContainerError as error:
        yield Finding("model", Grade.FAILED, str(error), error.exit_code)


def check_device(hardware: Mapping[str, object], nvidia: Path) -> Finding:
    """Say what the model runs on; a graphics card that lies idle is worth a word."""
    device = str(hardware.get("device", "?"))
    if device == "cpu" and nvidia.exists():
        words = "cpu, though there is an NVIDIA card: this torch was built without CUDA"
        return Finding("device", Grade.WARNING, words)
    words = "cpu; no graphics card is seen" if device == "cpu" else device
    return Finding("device", Grade.OK, words)


async def _check_speed(engine: Engine, slots: int, further: int) -> AsyncIterator[Finding]:
    meter = Meter(engine)
    sample = Sample(time.monotonic())
    await meter.ask(sample, TRIAL_TOKENS)
    if sample.failure is not None or sample.first_s is None:
        words = sample.failure or "it says nothing"
        yield Finding("answer", Grade.FAILED, words, 4)
        return
    wait_ms = (sample.first_s - sample.asked_s) * 1000
    yield Finding("answer", Grade.OK, f"{sample.tokens} tokens, the first after {wait_ms:.0f} ms")
    levels = [await meter.measure(level, LEVEL_S) for level in sorted({1, slots, further})]
    yield judge_speed(levels)
    for advice in advise(levels, slots):
        yield Finding("speed", Grade.ADVICE, advice)


def judge_speed(levels: list[Level]) -> Finding:
    """Say how fast it is at each level."""
    said = [f"{level.tokens_per_s:,.1f} at {level.concurrency}" for level in levels]
    failures = sum(level.failures for level in levels)
    words = f"tokens/s: {', '.join(said)} jobs at once"
    if failures:
        return Finding("speed", Grade.WARNING, f"{words}; {failures} of the answers failed")
    return Finding("speed", Grade.OK, words)
