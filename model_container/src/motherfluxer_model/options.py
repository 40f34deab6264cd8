"""What the operator may set: on the command line, or as `MOTHERFLUXER_…` in the environment."""

import argparse
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from motherfluxer_model import __version__
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
ENGINES: Final = ("transformers", "echo")
DTYPES: Final = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True, slots=True)
class Options:
    """Everything `run` needs to know; the credential is kept out of every representation."""

    router_url: str
    model: str
    credential: str = field(repr=False)
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


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="motherfluxer-model",
        description="Runs a language model and serves it to a MotherFluxer router.",
        epilog="Every option can also be set in the environment: --router is MOTHERFLUXER_ROUTER, "
        "--credential-file is MOTHERFLUXER_CREDENTIAL_FILE, and so on. Exit codes: 0 drained or "
        "stopped, 2 usage, 3 credential refused, 4 the model cannot be loaded, 5 replaced by "
        "another container of the same name, 6 the router no longer speaks this protocol.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="load a model and serve it until stopped")
    add = run.add_argument
    add("--router", metavar="URL", help="the site, for example https://motherfluxer.ai")
    add("--credential", metavar="TEXT", help="the credential; a file is safer, see below")
    add("--credential-file", metavar="FILE", help="a file that holds the credential")
    add("--model", metavar="ID_OR_FOLDER", help="a hub id such as microsoft/phi-2, or a folder")
    add("--model-name", metavar="NAME", help="the name to announce (default: the last part of it)")
    add("--engine", choices=ENGINES, help="what answers (default: transformers)")
    add("--name", help="this instance's stable name, a-z 0-9 and - (default: the host's name)")
    add("--slots", metavar="N", help=f"jobs at once, 1 to 256 (default: {DEFAULT_SLOTS})")
    add("--revision", help="the hub revision to load, or the one to announce for a folder")
    add("--dtype", choices=DTYPES, help="the weights' type while running (default: auto)")
    add("--threads", metavar="N", help="CPU threads (default: by the model's size)")
    add("--region", help="where this machine stands, shown to people")
    add(
        "--health-port",
        metavar="PORT",
        help=f"local port of /healthz (default: {DEFAULT_HEALTH_PORT}; 0: any free one)",
    )
    add("--health-host", metavar="ADDRESS", help="where /healthz listens (default: 127.0.0.1)")
    add("--drain-s", metavar="SECONDS", help="how long running jobs may take to end (default: 30)")
    add("--echo-delay-ms", metavar="MS", help="pause before each word of the echo engine")
    return parser


def parse_options(argv: Sequence[str] | None, environ: Mapping[str, str]) -> Options:
    """Read command line and environment, the command line first. Raises UsageError."""
    values = vars(build_parser().parse_args(argv))
    values.pop("command")
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
