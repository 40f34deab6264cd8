"""The command line's words: which commands there are and what can be set for each."""

import argparse
from typing import Final

from motherfluxer_model import __version__

ENGINES: Final = ("transformers", "openai", "echo")
QUANTIZED: Final = ("no", "8bit", "4bit")
DTYPES: Final = ("auto", "float32", "bfloat16", "float16")
COMMANDS: Final = {
    "run": "load a model and serve it until stopped",
    "check": "look at everything that must be well before this instance joins, and give advice",
    "bench": "load a model and measure its speed at 1, 2, 4, ... jobs at once; needs no router",
}
EPILOG: Final = (
    "Every option can also be set in the environment: --router is MOTHERFLUXER_ROUTER, "
    "--credential-file is MOTHERFLUXER_CREDENTIAL_FILE, and so on. Exit codes: 0 drained or "
    "stopped, 1 a check failed, 2 usage, 3 credential refused, 4 the model cannot be loaded, "
    "5 replaced by "
    "another container of the same name, 6 the router no longer speaks this protocol."
)


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line; a run's command can be repeated with another word for `run`."""
    parser = argparse.ArgumentParser(
        prog="motherfluxer-model",
        description="Runs a language model and serves it to a MotherFluxer router.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, words in COMMANDS.items():
        command = commands.add_parser(name, help=words, description=words, epilog=EPILOG)
        _add_link_options(command)
        _add_model_options(command)
        _add_upstream_options(command)
        _add_serving_options(command)
        if name == "bench":
            _add_bench_options(command)
    return parser


def _add_link_options(command: argparse.ArgumentParser) -> None:
    add = command.add_argument_group("the site").add_argument
    add("--router", metavar="URL", help="the site, for example https://motherfluxer.ai")
    add("--credential", metavar="TEXT", help="the credential; a file is safer, see below")
    add("--credential-file", metavar="FILE", help="a file that holds it; -: standard input")
    add("--ca-file", metavar="FILE", help="CAs to trust besides the system's, as PEM")
    add("--name", help="this instance's stable name, a-z 0-9 and - (default: the host's name)")
    add("--region", help="where this machine stands, shown to people")


def _add_model_options(command: argparse.ArgumentParser) -> None:
    add = command.add_argument_group("the model").add_argument
    add("--engine", choices=ENGINES, help="what answers (default: transformers)")
    add("--model", metavar="ID_OR_FOLDER", help="a hub id such as microsoft/phi-2, or a folder")
    add("--model-name", metavar="NAME", help="the name to announce (default: the last part of it)")
    add("--revision", help="the hub revision to load, or the one to announce for a folder")
    add("--dtype", choices=DTYPES, help="the weights' type while running (default: auto)")
    add(
        "--quantize",
        choices=QUANTIZED,
        help="weights in 8 or 4 bits, by bitsandbytes (default: no)",
    )
    add("--threads", metavar="N", help="CPU threads (default: by the model's size)")
    add(
        "--kept-mib",
        metavar="MIB",
        help="memory for finished conversations, so that follow-up turns start at once (default: "
        "a tenth of what the model leaves free; 0: none)",
    )
    add("--echo-delay-ms", metavar="MS", help="pause before each word of the echo engine")


def _add_upstream_options(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group(
        "the server behind the openai engine",
        "There --model names what the server calls the models to serve, with commas between them; "
        "without it all that the server lists are served.",
    )
    add = group.add_argument
    add("--upstream", metavar="URL", help="its address, for example http://127.0.0.1:8000/v1")
    add("--upstream-key-file", metavar="FILE", help="a file that holds the key it asks for")
    add("--upstream-key", metavar="TEXT", help="the key itself; a file is safer")
    add("--context-tokens", metavar="N", help="the models' context, where it does not tell")
    add(
        "--upstream-template",
        metavar="FILE_OR_FOLDER",
        help="the models' chat template, or their folder; lets servers continue that cannot else",
    )


def _add_serving_options(command: argparse.ArgumentParser) -> None:
    add = command.add_argument_group("serving").add_argument
    add("--slots", metavar="N", help="jobs at once, 1 to 256 (default: 4)")
    add("--drain-s", metavar="SECONDS", help="how long running jobs may take to end (default: 30)")
    add(
        "--health-port",
        metavar="PORT",
        help="local port of the health pages (default: 8090; 0: any free one)",
    )
    add("--health-host", metavar="ADDRESS", help="where they listen (default: 127.0.0.1)")


def _add_bench_options(command: argparse.ArgumentParser) -> None:
    add = command.add_argument_group("measuring").add_argument
    add(
        "--concurrency",
        metavar="N,N",
        help="how many jobs at once, one level after the other (default: 1,2,4, ... up to --slots, "
        "or to 16)",
    )
    add("--seconds", metavar="S", help="how long each level takes (default: 5)")
    add("--json", action="store_true", help="print the figures as JSON")
