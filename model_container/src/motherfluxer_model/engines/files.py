"""What a model's folder, or a template's file, tells about a model that another program runs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from jinja2 import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from motherfluxer_model.core.marks import find_marks
from motherfluxer_model.errors import EngineLoadError, GenerationError
from motherfluxer_wire.frames import Message


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A chat template, the marks it and the tokenizer know, and the context where it is told."""

    template: str
    marks: tuple[str, ...] = ()
    context_tokens: int = 0
    words: dict[str, str] = field(default_factory=dict)  # bos_token and its like

    def render(self, messages: Sequence[Message]) -> str:
        """Write a conversation down, ready for the answer. Raises GenerationError."""
        said = [{"role": message.role, "content": message.content} for message in messages]
        try:
            text = _environment().from_string(self.template)
            return text.render(messages=said, add_generation_prompt=True, **self.words)
        except (TemplateError, TypeError, ValueError) as error:
            raise GenerationError("bad_request", f"the chat template refuses: {error}") from error


def find_model_files(path: Path) -> ModelFiles | None:
    """Read a template's file or a model's folder; None: there is no template."""
    if path.is_file():
        text = _read_text(path)
        return ModelFiles(text, tuple(find_marks(text)))
    if not path.is_dir():
        return None
    settings = _read_json(path / "tokenizer_config.json")
    file = path / "chat_template.jinja"
    template = _read_text(file) if file.is_file() else settings.get("chat_template")
    if not isinstance(template, str) or not template:
        return None
    longest = _read_json(path / "config.json").get("max_position_embeddings")
    words = {
        name: text
        for name in ("bos_token", "eos_token", "pad_token", "unk_token")
        if (text := _token_text(settings.get(name)))
    }
    known = [*words.values(), *_added_marks(path, settings), *find_marks(template)]
    return ModelFiles(
        template,
        tuple(dict.fromkeys(known)),
        longest if isinstance(longest, int) else 0,
        words,
    )


def _added_marks(folder: Path, settings: dict[str, Any]) -> list[str]:
    added = _read_json(folder / "tokenizer.json").get("added_tokens") or []
    listed = settings.get("additional_special_tokens") or settings.get("extra_special_tokens") or []
    special = [one for one in added if isinstance(one, dict) and one.get("special")]
    texts = [_token_text(one) for one in [*special, *(listed if isinstance(listed, list) else [])]]
    return [text for text in texts if text.strip()]


def _token_text(token: object) -> str:
    """Give a token's text, which files write as such or inside an object."""
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else ""


def _environment() -> ImmutableSandboxedEnvironment:
    """Make the surroundings that chat templates are written for."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = _now
    return environment


def _to_json(value: object, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _now(form: str) -> str:
    return datetime.now().astimezone().strftime(form)


def _refuse(words: str) -> NoReturn:
    raise TemplateError(words)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise EngineLoadError(f"{path} cannot be read: {error}") from error


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(_read_text(path))
    except ValueError as error:
        raise EngineLoadError(f"{path} holds no JSON: {error}") from error
    return found if isinstance(found, dict) else {}
