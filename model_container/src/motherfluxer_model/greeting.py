"""The first lines of a run, for a person: who I am, what I serve, on what. Pure."""

from collections.abc import Mapping

from motherfluxer_model import __version__
from motherfluxer_model.core.progress import show_seconds
from motherfluxer_model.core.sizes import show_bytes
from motherfluxer_wire.frames import Model


def introduce(name: str, source: str, engine: str) -> list[str]:
    """Say who this is and what is being loaded."""
    return [
        f"I am {name}, motherfluxer-model {__version__}",
        f"loading {source or 'what is there'} ({engine})",
    ]


def describe_model(model: Model, slots: int, took_s: float) -> str:
    """Say what is served now."""
    revision = f", revision {model.revision}" if model.revision else ""
    return (
        f"serving {model.name}{revision}: {model.context_tokens} tokens of context, "
        f"{slots} jobs at once; loaded in {show_seconds(took_s)}"
    )


def describe_machine(
    hardware: Mapping[str, str | int | float], taken_bytes: int, free_bytes: int | None
) -> str:
    """Say what it runs on, and what is taken of it."""
    parts = [str(hardware.get("device", "an unknown device"))]
    if threads := hardware.get("threads"):
        parts.append(f"{threads} of {hardware.get('cpu_count', '?')} threads")
    if dtype := hardware.get("dtype"):
        parts.append(str(dtype))
    if millions := hardware.get("parameters_millions"):
        parts.append(f"{millions:,} million parameters")
    if gpu_gib := hardware.get("gpu_memory_gib"):
        parts.append(f"{gpu_gib} GiB on the card")
    free = f", {show_bytes(free_bytes)} free" if free_bytes is not None else ""
    return f"running on {', '.join(parts)}; {show_bytes(taken_bytes)} of memory taken{free}"
