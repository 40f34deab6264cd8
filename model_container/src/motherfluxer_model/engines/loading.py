"""Telling models apart by a digest of their files, and loading them."""

import hashlib
import importlib.util
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
from transformers.utils import logging as library_logging

from motherfluxer_model.core.sizes import FLOAT32_UP_TO_BYTES
from motherfluxer_model.engines.fetching import weight_files
from motherfluxer_model.errors import EngineLoadError
from motherfluxer_model.memory import available_bytes
from motherfluxer_model.progress import Step

_TOKENIZER_FILE: Final = re.compile(
    r"(tokenizer.*|vocab.*|merges\.txt|special_tokens_map\.json|added_tokens\.json"
    r"|chat_template\.jinja|config\.json|generation_config\.json|.*\.model)"
)
_BLOCK_BYTES: Final = 4 * 1024**2
_BLOB_NAME: Final = re.compile(r"[0-9a-f]{64}")
_ONE_THREAD_UP_TO: Final = 50_000_000  # parameters: threads cost more than they bring
_DEFAULT_CONTEXT_TOKENS: Final = 2048
QUANTIZERS: Final = ("bitsandbytes", "accelerate")
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
    threads: int
    parameters: int


def digest_folder(folder: Path) -> str:
    """Give the fingerprint: a digest of weights, tokenizer and configuration."""
    files = set(weight_files(folder))
    files |= {path for path in folder.iterdir() if _TOKENIZER_FILE.fullmatch(path.name)}
    present = sorted(path for path in files if path.is_file())
    whole = hashlib.sha256()
    with Step("reading the weights", sum(_read_bytes(path) for path in present)) as step:
        for path in present:
            whole.update(f"{path.name}\0{_digest_file(path, step)}\n".encode())
    return f"sha256-{whole.hexdigest()}"


def load_folder(
    folder: Path, *, dtype: str = "auto", quantize: str = "no", threads: int = 0
) -> LoadedModel:
    """Load model and tokenizer, in this thread and for it. Raises EngineLoadError."""
    _show_loading()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    how: dict[str, Any] = {"dtype": _choose_dtype(folder, dtype, device)}
    if quantize != "no":
        how |= _quantized(quantize, how["dtype"], device)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, **how)
    except Exception as error:  # the libraries raise everything there is; the operator needs words
        raise EngineLoadError(f"cannot load the model in {folder}: {error}") from error
    module: Any = model  # `from_pretrained` has put it into evaluation mode already
    module.requires_grad_(False)
    if quantize == "no":
        module.to(device)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    threads = threads or _choose_threads(parameters)
    torch.set_num_threads(threads)
    config = model.config.get_text_config()
    return LoadedModel(
        model=model,
        tokenizer=tokenizer,
        device=device,
        context_tokens=_context_tokens(config, tokenizer),
        end_ids=_end_ids(model, tokenizer),
        vocabulary_count=int(config.vocab_size),
        threads=threads,
        parameters=parameters,
    )


def _quantized(kind: str, dtype: torch.dtype | str, device: str) -> dict[str, Any]:
    """Say how to load weights in fewer bits. Raises EngineLoadError."""
    missing = [name for name in QUANTIZERS if importlib.util.find_spec(name) is None]
    if missing:
        words = f"--quantize needs {' and '.join(missing)}: pip install '.[quantized]'"
        raise EngineLoadError(words)
    make: Any = BitsAndBytesConfig  # untyped in the library
    compute = torch.bfloat16 if isinstance(dtype, str) else dtype
    four = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": compute}
    config = make(**({"load_in_8bit": True} if kind == "8bit" else four))
    return {"quantization_config": config, "device_map": device}


def usual_kept_bytes(device: str) -> int:
    """Say how much memory finished conversations may take: a tenth of what the model leaves."""
    if device == "cuda":
        return int(torch.cuda.mem_get_info()[0] * KEPT_SHARE)
    return int((available_bytes() or 0) * KEPT_SHARE)


def _named_digest(path: Path) -> str | None:
    """Give the digest that the hub's cache has named a large file by."""
    target = path.resolve()
    is_named = target.parent.name == "blobs" and _BLOB_NAME.fullmatch(target.name)
    return target.name if is_named else None


def _read_bytes(path: Path) -> int:
    return 0 if _named_digest(path) else path.stat().st_size


def _digest_file(path: Path, step: Step) -> str:
    if (named := _named_digest(path)) is not None:
        return named
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            step.advance(len(block))
    return digest.hexdigest()


def _choose_dtype(folder: Path, dtype: str, device: str) -> torch.dtype | str:
    if dtype != "auto":
        return getattr(torch, dtype)  # type: ignore[no-any-return]
    if device == "cuda":
        return "auto"
    size = sum(path.stat().st_size for path in weight_files(folder))
    return torch.float32 if size <= FLOAT32_UP_TO_BYTES else torch.bfloat16


def _show_loading() -> None:
    """Let our own lines tell how far the library's load is, and its bar draw nothing."""
    library: Any = library_logging  # untyped
    library.disable_progress_bar()
    if hasattr(library, "set_tqdm_hook"):
        library.set_tqdm_hook(lambda make, args, kwargs: _Watched(make(*args, **kwargs), args))


class _Watched:
    """A library's bar over a list, with a step of ours beside it."""

    def __init__(self, bar: Any, args: tuple[Any, ...]) -> None:
        self._bar = bar
        self._total = len(args[0]) if args and hasattr(args[0], "__len__") else 0

    def __iter__(self) -> Iterator[Any]:
        with Step("loading the weights", self._total, is_bytes=False) as step:
            for item in self._bar:
                yield item
                step.advance(1)

    def __enter__(self) -> Any:
        return self._bar.__enter__()

    def __exit__(self, *error: object) -> Any:
        return self._bar.__exit__(*error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bar, name)


def _choose_threads(count: int) -> int:
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
