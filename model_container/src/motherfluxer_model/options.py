"""What the operator may set: on the command line, or as `MOTHERFLUXER_…` in the environment."""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from motherfluxer_model.command_line import DTYPES, ENGINES, build_parser
from motherfluxer_model.core.names import (
    fit_instance_name,
    fit_model_name,
    fit_router_url,
    is_instance_name,
)
from motherfluxer_model.errors import UsageError
from motherfluxer_wire.limits import MAX_SLOTS_COUNT

ENV_PREFIX: Final = "MOTHERFLUXER_"
DEFAULT_HEALTH_PORT: Final = 8090
DEFAULT_SLOTS: Final = 4
DEFAULT_DRAIN_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Options:
    """Everything a command needs to know; the credential is kept out of every representation."""

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
    threads: int = 0
    region: str | None = None
    drain_s: float = DEFAULT_DRAIN_S
    echo_delay_ms: float = 0.0


def parse_options(argv: Sequence[str] | None, environ: Mapping[str, str]) -> Options:
    """Read command line and environment, the command line first. Raises UsageError."""
    values = vars(build_parser().parse_args(argv))
    command = values.pop("command")
    for key, value in values.items():
        if value is None:
            values[key] = environ.get(ENV_PREFIX + key.upper()) or None
    engine = _one_of("engine", values["engine"] or "transformers", ENGINES)
    model = values["model"] or ("echo" if engine == "echo" else None)
    if model is None:
        raise UsageError("which model? Give --model, a hub id or a folder")
    return Options(
        router_url=_router(values["router"]),
        model=model,
        credential=_credential(values["credential"], values["credential_file"]),
        command=command,
        engine=engine,
        model_name=fit_model_name(values["model_name"] or _last_part(model)),
        name=_name(values["name"]),
        slots=int(_number("slots", values["slots"], DEFAULT_SLOTS, 1, MAX_SLOTS_COUNT)),
        health_port=int(_number("health-port", values["health_port"], 8090, 0, 65535)),
        is_health_port_chosen=values["health_port"] is not None,
        health_host=values["health_host"] or "127.0.0.1",
        revision=values["revision"],
        dtype=_one_of("dtype", values["dtype"] or "auto", DTYPES),
        threads=int(_number("threads", values["threads"], 0, 0, 1024)),
        region=values["region"],
        drain_s=_number("drain-s", values["drain_s"], DEFAULT_DRAIN_S, 0, 86_400),
        echo_delay_ms=_number("echo-delay-ms", values["echo_delay_ms"], 0, 0, 600_000),
    )


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


def _credential(text: str | None, file: str | None) -> str:
    if not text and file:
        try:
            text = Path(file).read_text().strip()
        except (OSError, UnicodeError) as error:
            raise UsageError(f"the credential file cannot be read: {error}") from error
    text = (text or "").strip()
    if not text:
        raise UsageError("no credential: give --credential-file (or --credential)")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise UsageError("the credential holds characters that no credential has")
    return text


def _name(text: str | None) -> str:
    if text is None:
        return fit_instance_name(socket.gethostname())
    if not is_instance_name(text):
        raise UsageError(f"--name must be 1 to 64 of a-z, 0-9 and -, not {text!r}")
    return text


def _one_of(option: str, text: str, allowed: Sequence[str]) -> str:
    if text not in allowed:
        raise UsageError(f"--{option} must be one of {', '.join(allowed)}, not {text!r}")
    return text


def _number(option: str, text: str | None, default: float, least: float, most: float) -> float:
    try:
        number = default if text is None else float(text)
    except ValueError:
        number = float("nan")
    if not least <= number <= most:
        raise UsageError(f"--{option} must be a number from {least:g} to {most:g}, not {text!r}")
    return number
