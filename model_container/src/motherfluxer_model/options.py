"""What the operator may set: on the command line, or as `MOTHERFLUXER_…` in the environment."""

import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from motherfluxer_model.command_line import DTYPES, ENGINES, QUANTIZED, build_parser
from motherfluxer_model.core.names import (
    fit_instance_name,
    fit_model_name,
    fit_router_url,
    is_instance_name,
)
from motherfluxer_model.core.speed import choose_levels
from motherfluxer_model.credential import STDIN, fit_credential, is_open_to_others, read_credential
from motherfluxer_model.dialling import make_tls
from motherfluxer_model.errors import UsageError
from motherfluxer_model.given import Given
from motherfluxer_model.upstream import Upstream, parse_upstream
from motherfluxer_wire.limits import MAX_SLOTS_COUNT

DEFAULT_HEALTH_PORT: Final = 8090
DEFAULT_SLOTS: Final = 4
DEFAULT_DRAIN_S: Final = 30.0
DEFAULT_SECONDS: Final = 5.0
MOST_LEVEL: Final = 16  # where neither --concurrency nor --slots is given
SITE_COMMANDS: Final = ("run", "check")  # those that speak to the router


@dataclass(frozen=True, slots=True)
class Options:
    """Everything a command needs to know; the credential is kept out of every representation.

    `router_url` and `credential` are empty for a command that needs no router. `credential_file`
    is the file that the credential came from, `levels` what `bench` measures, `warnings` what the
    operator should hear.
    """

    router_url: str
    model: str
    credential: str = field(repr=False)
    command: str = "run"
    engine: str = "transformers"
    model_name: str = ""
    name: str = "instance"
    slots: int = DEFAULT_SLOTS
    health_port: int = DEFAULT_HEALTH_PORT
    is_health_port_chosen: bool = False
    health_host: str = "127.0.0.1"
    revision: str | None = None
    dtype: str = "auto"
    quantize: str = "no"
    threads: int = 0
    kept_mib: int | None = None
    region: str | None = None
    drain_s: float = DEFAULT_DRAIN_S
    echo_delay_ms: float = 0.0
    credential_file: Path | None = None
    ca_file: Path | None = None
    levels: tuple[int, ...] = ()
    seconds: float = DEFAULT_SECONDS
    is_json: bool = False
    upstream: Upstream | None = None
    warnings: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """Where the answers come from: a server's address, a hub id or a folder."""
        return self.upstream.url if self.upstream is not None else self.model


def parse_options(argv: Sequence[str] | None, environ: Mapping[str, str]) -> Options:
    """Read command line and environment, the command line first. Raises UsageError."""
    arguments = vars(build_parser().parse_args(argv))
    command = arguments.pop("command")
    is_json = bool(arguments.pop("json", False))
    given = Given(arguments, environ)
    engine = given.one_of("engine", ENGINES, "transformers")
    model = given.text("model") or {"echo": "echo", "openai": ""}.get(engine)
    if model is None:
        raise UsageError("which model? Give --model, a hub id or a folder")
    router_url, credential = "", _Secret("")
    if command in SITE_COMMANDS:
        router_url, credential = _router(given.text("router")), _secret(given)
    ca_file = _ca_file(given.text("ca_file"))
    return Options(
        router_url=router_url,
        model=model,
        credential=credential.text,
        command=command,
        engine=engine,
        model_name=_model_name(engine, given.text("model_name"), model),
        name=_name(given.text("name")),
        slots=given.count("slots", DEFAULT_SLOTS, 1, MAX_SLOTS_COUNT),
        health_port=given.count("health_port", DEFAULT_HEALTH_PORT, 0, 65535),
        is_health_port_chosen=given.text("health_port") is not None,
        health_host=given.text("health_host") or "127.0.0.1",
        revision=given.text("revision"),
        dtype=given.one_of("dtype", DTYPES, "auto"),
        quantize=given.one_of("quantize", QUANTIZED, "no"),
        threads=given.count("threads", 0, 0, 1024),
        kept_mib=_kept_mib(given),
        region=given.text("region"),
        drain_s=given.number("drain_s", DEFAULT_DRAIN_S, 0, 86_400),
        echo_delay_ms=given.number("echo_delay_ms", 0, 0, 600_000),
        credential_file=credential.file,
        ca_file=ca_file,
        levels=_levels(given) if command == "bench" else (),
        seconds=given.number("seconds", DEFAULT_SECONDS, 0.1, 3600),
        is_json=is_json,
        upstream=parse_upstream(given, ca_file) if engine == "openai" else None,
        warnings=credential.warnings + _key_warnings(given),
    )


def _model_name(engine: str, chosen: str | None, model: str) -> str:
    """Give the name to announce; "" leaves it to what an `openai` engine's server lists."""
    if engine == "openai" and not chosen:
        return ""
    return fit_model_name(chosen or _last_part(model))


def _kept_mib(given: Given) -> int | None:
    return given.count("kept_mib", 0, 0, 2**20) if given.text("kept_mib") is not None else None


def _last_part(model: str) -> str:
    path = Path(model)
    return path.resolve().name if path.is_dir() else model


def _router(text: str | None) -> str:
    if not text:
        raise UsageError("which router? Give --router, for example https://motherfluxer.ai")
    try:
        return fit_router_url(text)
    except ValueError as error:
        raise UsageError(str(error)) from error


@dataclass(frozen=True, slots=True)
class _Secret:
    """The credential, where it came from, and what is unwise about that."""

    text: str
    file: Path | None = None
    warnings: tuple[str, ...] = ()


def _secret(given: Given) -> _Secret:
    """Find the credential: command line before environment, there the text before the file."""
    if text := given.argument("credential"):
        words = "the credential stands in the process list; give --credential-file instead"
        return _Secret(fit_credential(text), warnings=(words,))
    if name := given.argument("credential_file"):
        return _secret_file(name)
    if text := given.setting("credential"):
        return _Secret(fit_credential(text))
    if name := given.setting("credential_file"):
        return _secret_file(name)
    return _Secret(fit_credential(""))


def _key_warnings(given: Given) -> tuple[str, ...]:
    words = "the server's key stands in the process list; give --upstream-key-file instead"
    return (words,) if given.argument("upstream_key") else ()


def _secret_file(name: str) -> _Secret:
    if name == STDIN:
        return _Secret(fit_credential(sys.stdin.read()))
    file = Path(name)
    words = f"others on this machine can read the credential: chmod 600 {file}"
    warnings = (words,) if is_open_to_others(file) else ()
    text = read_credential(file)
    return _Secret(text, file if file.is_file() else None, warnings)  # a pipe is read only once


def _levels(given: Given) -> tuple[int, ...]:
    text = given.text("concurrency")
    if text is None:
        is_chosen = given.text("slots") is not None
        most = given.count("slots", DEFAULT_SLOTS, 1, MAX_SLOTS_COUNT) if is_chosen else MOST_LEVEL
        return tuple(choose_levels(most))
    parts = text.split(",")
    if not all(_is_level(part.strip()) for part in parts):
        raise UsageError(
            f"--concurrency should look like 1,2,4, each from 1 to {MAX_SLOTS_COUNT}, not {text!r}"
        )
    return tuple(sorted({int(part) for part in parts}))


def _is_level(text: str) -> bool:
    return text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= MAX_SLOTS_COUNT


def _ca_file(text: str | None) -> Path | None:
    if text is None:
        return None
    make_tls(Path(text))
    return Path(text)


def _name(text: str | None) -> str:
    if text is None:
        return fit_instance_name(socket.gethostname())
    if not is_instance_name(text):
        raise UsageError(f"--name must be 1 to 64 of a-z, 0-9 and -, not {text!r}")
    return text
