"""Getting a model's files onto this disk, and telling how far that is."""

import errno
from pathlib import Path
from typing import Any, Final, cast

from huggingface_hub import DryRunFileInfo, snapshot_download
from huggingface_hub.errors import (
    DryRunError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from tqdm.std import tqdm

from motherfluxer_model.core.names import is_path
from motherfluxer_model.errors import EngineLoadError
from motherfluxer_model.progress import Step

_SMALL_FILES: Final = ("*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken")


def find_folder(model: str, revision: str | None) -> Path:
    """Give the folder with the model's files; a hub id is fetched first. Raises EngineLoadError."""
    if Path(model).is_dir():
        return Path(model)
    if is_path(model):
        raise EngineLoadError(f"there is no folder {model!r}")
    try:
        folder = _fetch(model, revision, "*.safetensors")
        if not weight_files(folder):
            folder = _fetch(model, revision, "*.bin")
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        words = f"cannot fetch {model!r} from the hub: {explain_hub(error)}"
        raise EngineLoadError(words) from error
    return folder


def weight_files(folder: Path) -> list[Path]:
    """List the weights: safetensors where there are any."""
    return sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))


def explain_hub(error: Exception) -> str:
    """Say why the hub gives no files, and what to do."""
    if isinstance(error, GatedRepoError):
        return "it is gated: accept its terms there, and set HF_TOKEN"
    if isinstance(error, RepositoryNotFoundError):
        return "there is none of this name; a private one needs HF_TOKEN"
    if isinstance(error, RevisionNotFoundError):
        return "it has no such revision"
    if isinstance(error, LocalEntryNotFoundError):
        return "it cannot be reached, and not all files are on this disk; is there a way out?"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "the disk is full; set HF_HOME to another one"
    return str(error).strip().partition("\n")[0]


def _fetch(model: str, revision: str | None, weights: str) -> Path:
    wanted: dict[str, Any] = {
        "revision": revision,
        "allow_patterns": [*_SMALL_FILES, weights],
        "ignore_patterns": ["*/*"],
        "tqdm_class": _SilentBar,
    }
    try:
        files = cast(list[DryRunFileInfo], snapshot_download(model, **wanted, dry_run=True))
    except DryRunError as error:
        return _find_on_disk(model, wanted, error)
    missing_bytes = sum(file.file_size or 0 for file in files if file.will_download)
    with Step(f"fetching {model}", missing_bytes) as step:
        wanted["tqdm_class"] = type("_Bar", (_SilentBar,), {"step": step})
        return Path(snapshot_download(model, **wanted))


def _find_on_disk(model: str, wanted: dict[str, Any], error: DryRunError) -> Path:
    """Take what was fetched before, where the hub cannot be asked; else say why it cannot."""
    try:
        return Path(snapshot_download(model, **wanted, local_files_only=True))
    except LocalEntryNotFoundError:
        if isinstance(error.__cause__, HfHubHTTPError):
            raise error.__cause__ from error
        raise


class _SilentBar(tqdm):  # type: ignore[misc]  # the library has no types
    """A library's bar that draws nothing and passes on how many bytes it has seen.

    Several count the same bytes, on the way and on the disk: the furthest one tells.
    """

    monitor_interval = 0
    step: Step | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._counts_bytes = kwargs.get("unit") == "B"
        super().__init__(*args, **{**kwargs, "disable": False, "file": _Nowhere()})

    def update(self, n: float | None = 1) -> Any:
        """Count, and tell."""
        updated = super().update(n)
        if self.step is not None and self._counts_bytes:
            self.step.reach(self.n)
        return updated

    def display(self, *_args: Any, **_kwargs: Any) -> None:
        """Draw nothing."""


class _Nowhere:
    """Takes what a bar writes."""

    def write(self, _text: str) -> None:
        """Take it."""

    def flush(self) -> None:
        """Do nothing."""
