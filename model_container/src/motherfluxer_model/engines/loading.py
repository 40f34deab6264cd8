"""Finding a model's files, telling them apart by a digest, and loading them."""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from motherfluxer_model.core.names import is_path
from motherfluxer_model.core.sizes import FLOAT32_UP_TO_BYTES
from motherfluxer_model.errors import EngineLoadError

_SMALL_FILES: Final = ("*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken")
_TOKENIZER_FILE: Final = re.compile(
    r"(tokenizer.*|vocab.*|merges\.txt|special_tokens_map\.json|added_tokens\.json"
    r"|chat_template\.jinja|config\.json|generation_config\.json|.*\.model)"
)
_BLOB_NAME: Final = re.compile(r"[0-9a-f]{64}")
_ONE_THREAD_UP_TO: Final = 50_000_000  # parameters: threads cost more than they bring
_DEFAULT_CONTEXT_TOKENS: Final = 2048
KEPT_SHARE: Final = 0.1
# Ends of a turn that older files forget to list among the ends of an answer.
_TURN_ENDS: Final = ("<|im_end|>", "<|eot_id|>", "<|end|>", "<end_of_turn>", "<|endoftext|>")


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model ready to run."""

    model: Any
    tokenizer: Any
    device: str
    context_tokens: int
    end_ids: frozenset[int]
    vocabulary_count: int


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
        raise EngineLoadError(f"cannot fetch {model!r} from the hub: {error}") from error
    return folder


def weight_files(folder: Path) -> list[Path]:
    """List the weights: safetensors where there are any."""
    return sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))


def digest_folder(folder: Path) -> str:
    """Give the fingerprint: a digest of weights, tokenizer and configuration."""
    files = set(weight_files(folder))
    files |= {path for path in folder.iterdir() if _TOKENIZER_FILE.fullmatch(path.name)}
    whole = hashlib.sha256()
    for path in sorted(path for path in files if path.is_file()):
        whole.update(f"{path.name}\0{_digest_file(path)}\n".encode())
    return f"sha256-{whole.hexdigest()}"


def load_folder(folder: Path, *, dtype: str, threads: int) -> LoadedModel:
    """Load model and tokenizer, in this thread and for it. Raises EngineLoadError."""
    quieten: Any = disable_progress_bar  # untyped in the library
    quieten()
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        model = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, dtype=_choose_dtype(folder, dtype, device)
        )
    except Exception as error:  # the libraries raise everything there is; the operator needs words
        raise EngineLoadError(f"cannot load the model in {folder}: {error}") from error
    module: Any = model  # `from_pretrained` has put it into evaluation mode already
    module.requires_grad_(False).to(device)
    torch.set_num_threads(threads or _choose_threads(model))
    config = model.config.get_text_config()
    return LoadedModel(
        model=model,
        tokenizer=tokenizer,
        device=device,
        context_tokens=_context_tokens(config, tokenizer),
        end_ids=_end_ids(model, tokenizer),
        vocabulary_count=int(config.vocab_size),
    )


def usual_kept_bytes(device: str) -> int:
    """Say how much memory finished conversations may take: a tenth of what there is."""
    if device == "cuda":
        return int(torch.cuda.get_device_properties(0).total_memory * KEPT_SHARE)
    return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * KEPT_SHARE)


def _fetch(model: str, revision: str | None, weights: str) -> Path:
    wanted = [*_SMALL_FILES, weights]
    folder = snapshot_download(
        model, revision=revision, allow_patterns=wanted, ignore_patterns=["*/*"]
    )
    return Path(folder)


def _digest_file(path: Path) -> str:
    target = path.resolve()
    if target.parent.name == "blobs" and _BLOB_NAME.fullmatch(target.name):
        return target.name  # the hub's cache names large files by this very digest
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _choose_dtype(folder: Path, dtype: str, device: str) -> torch.dtype | str:
    if dtype != "auto":
        return getattr(torch, dtype)  # type: ignore[no-any-return]
    if device == "cuda":
        return "auto"
    size = sum(path.stat().st_size for path in weight_files(folder))
    return torch.float32 if size <= FLOAT32_UP_TO_BYTES else torch.bfloat16


def _choose_threads(model: Any) -> int:
    count = sum(parameter.numel() for parameter in model.parameters())
    return 1 if count <= _ONE_THREAD_UP_TO else len(os.sched_getaffinity(0))


def _context_tokens(config: Any, tokenizer: Any) -> int:
    for name in ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length"):
        if isinstance(value := getattr(config, name, None), int) and value > 0:
            return value
    limit = int(min(tokenizer.model_max_length, 10**9))
    return limit if limit < 10**9 else _DEFAULT_CONTEXT_TOKENS


def _end_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    ids: set[int] = set()
    generation = getattr(model, "generation_config", None)
    for source in (generation, model.config, tokenizer):
        value = getattr(source, "eos_token_id", None)
        ids |= {value} if isinstance(value, int) else set(value or ())
    template = str(tokenizer.chat_template or "")
    known = tokenizer.get_added_vocab()
    ids |= {known[end] for end in _TURN_ENDS if end in known and end in template}
    return frozenset(ids)
