"""Looking at this machine: memory and disk against the model's size, the local port."""

import asyncio
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from motherfluxer_model.core.findings import Finding, Grade
from motherfluxer_model.core.names import is_path
from motherfluxer_model.core.sizes import conversation_bytes, show_bytes
from motherfluxer_model.errors import EngineLoadError
from motherfluxer_model.memory import available_bytes
from motherfluxer_model.options import Options
from motherfluxer_model.weights import read_config, survey_folder

NVIDIA_DEVICE: Final = Path("/dev/nvidia0")
CACHE_WIDTH: Final = 4  # bytes of a kept number, at worst
WEIGHT_SUFFIX: Final = ".safetensors"


async def check_machine(options: Options) -> list[Finding]:
    """Look at the port, and at memory and disk where the model runs here."""
    findings = [check_port(options)]
    if options.engine == "transformers":
        findings += await asyncio.to_thread(lambda: list(_check_model_size(options)))
    return findings


def check_port(options: Options) -> Finding:
    """See whether the health pages can be there."""
    try:
        family = socket.AF_INET6 if ":" in options.health_host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((options.health_host, options.health_port))
    except OSError as error:
        place = f"{options.health_host}:{options.health_port}"
        words = f"{place} cannot be used ({error.strerror or error}); choose another --health-port"
        return Finding("local port", Grade.WARNING, words)
    return Finding("local port", Grade.OK, f"{options.health_host}:{options.health_port} is free")


def _check_model_size(options: Options) -> Iterator[Finding]:
    folder = Path(options.model)
    if not folder.is_dir():
        if is_path(options.model):
            words = f"there is no folder {options.model!r}"
            yield Finding("weights", Grade.FAILED, words, EngineLoadError.exit_code)
            return
        folder, missing = _look_at_hub(options)
        if missing is not None:
            yield missing
            return
    try:
        weights = survey_folder(folder)
    except (OSError, ValueError) as error:
        words = f"the weights cannot be read: {error}"
        yield Finding("weights", Grade.FAILED, words, EngineLoadError.exit_code)
        return
    if not weights.file_bytes:
        words = f"there are no weights in {folder}"
        yield Finding("weights", Grade.FAILED, words, EngineLoadError.exit_code)
        return
    yield Finding("weights", Grade.OK, f"{show_bytes(weights.file_bytes)} of files are here")
    kept = conversation_bytes(read_config(folder), CACHE_WIDTH)
    yield judge_memory(
        weights.loaded_bytes(options.dtype, options.quantize),
        (kept or 0) * options.slots,
        available_bytes(),
        has_card=NVIDIA_DEVICE.exists(),
    )


def judge_memory(
    loaded_bytes: int, talk_bytes: int, available: int | None, *, has_card: bool = False
) -> Finding:
    """Set what a model and the conversations at all slots need against what there is."""
    needed = f"about {show_bytes(loaded_bytes)} for the model"
    if talk_bytes:
        needed += f", up to {show_bytes(talk_bytes)} for whole conversations at all slots"
    if available is None:
        return Finding("memory", Grade.OK, f"{needed}; how much is free cannot be told here")
    words = f"{needed}; {show_bytes(available)} are free"
    if has_card:
        return Finding("memory", Grade.OK, f"{words}, and the graphics card has its own")
    if loaded_bytes > available:
        advice = "take a smaller model, --dtype bfloat16 or --quantize"
        return Finding("memory", Grade.FAILED, f"{words}: {advice}", EngineLoadError.exit_code)
    if loaded_bytes + talk_bytes > available:
        return Finding("memory", Grade.WARNING, f"{words}: take fewer slots")
    return Finding("memory", Grade.OK, words)


def _look_at_hub(options: Options) -> tuple[Path, Finding | None]:
    """Find a hub's model on this disk, or say whether there is room to fetch it."""
    try:
        # as heavy as torch, and as absent where only `echo` runs
        from huggingface_hub import HfApi, snapshot_download
        from huggingface_hub.constants import HF_HUB_CACHE

        from motherfluxer_model.engines.fetching import explain_hub
    except ImportError as error:
        words = f"{error}; install what it needs: pip install '.[transformers]'"
        return Path(), Finding("weights", Grade.FAILED, words, EngineLoadError.exit_code)
    try:
        found = snapshot_download(options.model, revision=options.revision, local_files_only=True)
        if any(Path(found).glob(f"*{WEIGHT_SUFFIX}")):
            return Path(found), None
    except Exception:  # noqa: BLE001, S110  whatever is wrong with the cache: the hub is asked next
        pass
    try:
        about = HfApi().model_info(options.model, revision=options.revision, files_metadata=True)
    except Exception as error:  # noqa: BLE001  the library raises everything there is
        words = f"not on this disk, and not to be had from the hub: {explain_hub(error)}"
        return Path(), Finding("weights", Grade.FAILED, words, EngineLoadError.exit_code)
    sizes = [file.size or 0 for file in about.siblings or () if _is_fetched(file.rfilename)]
    return Path(), judge_disk(sum(sizes), Path(HF_HUB_CACHE))


def judge_disk(needed_bytes: int, cache: Path) -> Finding:
    """Set what must be fetched against what the disk still takes."""
    place = next(path for path in (cache, *cache.parents) if path.exists())
    free = shutil.disk_usage(place).free
    words = f"{show_bytes(needed_bytes)} to fetch, {show_bytes(free)} free in {place}"
    if needed_bytes > free:
        advice = "make room, or set HF_HOME to another disk"
        return Finding("weights", Grade.FAILED, f"{words}: {advice}", EngineLoadError.exit_code)
    return Finding("weights", Grade.OK, words)


def _is_fetched(name: str) -> bool:
    return "/" not in name and name.endswith((WEIGHT_SUFFIX, ".json", ".txt", ".model", ".jinja"))
