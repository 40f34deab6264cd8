"""Where an OpenAI-compatible server stands and how to speak to it, as the operator said it."""

from dataclasses import dataclass, field
from pathlib import Path

from motherfluxer_model.core.names import fit_upstream_url
from motherfluxer_model.errors import UsageError
from motherfluxer_model.given import Given
from motherfluxer_wire.limits import MAX_INTEGER, MAX_MODELS_COUNT


@dataclass(frozen=True, slots=True)
class Upstream:
    """The server behind the `openai` engine; its key is kept out of every representation."""

    url: str
    key: str = field(default="", repr=False)
    model_ids: tuple[str, ...] = ()  # what it calls the models to serve; none: all that it lists
    context_tokens: int = 0  # 0: what the server tells
    ca_file: Path | None = None  # certificates to trust besides the system's
    template: Path | None = None  # the models' chat template, for servers that cannot continue


def parse_upstream(given: Given, ca_file: Path | None) -> Upstream:
    """Read the options that concern the server. Raises UsageError."""
    text = given.text("upstream")
    if not text:
        raise UsageError("which server? Give --upstream, for example http://127.0.0.1:8000/v1")
    try:
        url = fit_upstream_url(text)
    except ValueError as error:
        raise UsageError(str(error)) from error
    template = given.text("upstream_template")
    if template and not Path(template).exists():
        raise UsageError(f"--upstream-template: there is no {template}")
    named = [name.strip() for name in (given.text("model") or "").split(",")]
    model_ids = tuple(dict.fromkeys(name for name in named if name))
    if len(model_ids) > MAX_MODELS_COUNT:
        raise UsageError(f"--model names {len(model_ids)} models, {MAX_MODELS_COUNT} at most")
    return Upstream(
        url=url,
        key=_key(given.text("upstream_key"), given.text("upstream_key_file")),
        model_ids=model_ids,
        context_tokens=given.count("context_tokens", 0, 0, MAX_INTEGER),
        ca_file=ca_file,
        template=Path(template) if template else None,
    )


def _key(text: str | None, file: str | None) -> str:
    if not text and file:
        try:
            text = Path(file).read_text()
        except (OSError, UnicodeError) as error:
            raise UsageError(f"the server's key file cannot be read: {error}") from error
        if not text.strip():
            raise UsageError(f"the server's key file {file} is empty")
    key = (text or "").strip()
    if not key.isascii() or (key and not key.isprintable()) or " " in key:
        raise UsageError("the server's key holds characters that no key has")
    return key
