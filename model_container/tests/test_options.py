"""The command line and the environment, and what is said when they make no sense."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from motherfluxer_model.command_line import COMMANDS
from motherfluxer_model.credential import is_open_to_others
from motherfluxer_model.errors import UsageError
from motherfluxer_model.options import Options, parse_options
from motherfluxer_model.upstream import Upstream

LEAST = ["run", "--router", "http://localhost:8000", "--credential", "mfi_x", "--model", "a/phi-2"]


def parse(*more: str, env: dict[str, str] | None = None) -> Options:
    return parse_options([*LEAST, *more], env or {})


def test_defaults_are_those_of_the_readme() -> None:
    options = parse()
    assert options.router_url == "ws://localhost:8000/ws/instances/"
    assert (options.engine, options.model_name, options.slots) == ("transformers", "phi-2", 4)
    assert (options.health_port, options.is_health_port_chosen) == (8090, False)
    assert options.health_host == "127.0.0.1"
    assert options.name


def test_everything_can_stand_in_the_environment(tmp_path: Path) -> None:
    secret = tmp_path / "credential"
    secret.write_text("mfi_from_file\n")
    secret.chmod(0o600)
    env = {
        "MOTHERFLUXER_ROUTER": "https://motherfluxer.ai",
        "MOTHERFLUXER_CREDENTIAL_FILE": str(secret),
        "MOTHERFLUXER_MODEL": str(tmp_path),
        "MOTHERFLUXER_MODEL_NAME": "mine",
        "MOTHERFLUXER_ENGINE": "echo",
        "MOTHERFLUXER_NAME": "box-1",
        "MOTHERFLUXER_SLOTS": "7",
        "MOTHERFLUXER_HEALTH_PORT": "0",
        "MOTHERFLUXER_REVISION": "main",
        "MOTHERFLUXER_DTYPE": "bfloat16",
        "MOTHERFLUXER_QUANTIZE": "8bit",
        "MOTHERFLUXER_KEPT_MIB": "64",
        "MOTHERFLUXER_THREADS": "2",
        "MOTHERFLUXER_REGION": "eu",
        "MOTHERFLUXER_DRAIN_S": "5",
        "MOTHERFLUXER_ECHO_DELAY_MS": "1.5",
    }
    options = parse_options(["run"], env)
    assert options == Options(
        router_url="wss://motherfluxer.ai/ws/instances/",
        model=str(tmp_path),
        credential="mfi_from_file",
        engine="echo",
        model_name="mine",
        name="box-1",
        slots=7,
        health_port=0,
        is_health_port_chosen=True,
        revision="main",
        dtype="bfloat16",
        quantize="8bit",
        kept_mib=64,
        threads=2,
        region="eu",
        drain_s=5,
        echo_delay_ms=1.5,
        credential_file=secret,
    )


def test_command_line_goes_before_the_environment() -> None:
    assert parse("--slots", "2", env={"MOTHERFLUXER_SLOTS": "9"}).slots == 2
    assert parse(env={"MOTHERFLUXER_CREDENTIAL_FILE": "/no/such"}).credential == "mfi_x"


def test_credential_on_the_command_line_goes_before_the_environment_but_is_warned_of(
    tmp_path: Path,
) -> None:
    secret = tmp_path / "credential"
    secret.write_text("mfi_from_file\n")
    secret.chmod(0o600)
    least = [*LEAST[:3], "--model", "a"]
    quiet = parse_options(
        [*least, "--credential-file", str(secret)], {"MOTHERFLUXER_CREDENTIAL": "x"}
    )
    assert (quiet.credential, quiet.credential_file, quiet.warnings) == (
        "mfi_from_file",
        secret,
        (),
    )
    loud = parse(env={"MOTHERFLUXER_CREDENTIAL_FILE": str(secret)})
    assert (loud.credential, loud.credential_file) == ("mfi_x", None)
    assert "process list" in loud.warnings[0]
    assert parse_options(least, {"MOTHERFLUXER_CREDENTIAL": "mfi_x"}).warnings == ()


def test_credential_file_that_others_can_read_is_warned_of(tmp_path: Path) -> None:
    secret = tmp_path / "credential"
    secret.write_text("mfi_from_file\n")
    secret.chmod(0o644)
    options = parse_options([*LEAST[:3], "--credential-file", str(secret), "--model", "a"], {})
    assert options.warnings == (
        f"others on this machine can read the credential: chmod 600 {secret}",
    )


def test_secret_that_an_engine_mounted_is_for_this_container_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "credential"
    secret.write_text("mfi_from_file\n")
    secret.chmod(0o644)
    assert is_open_to_others(secret)
    monkeypatch.setattr("motherfluxer_model.credential.MOUNTED_SECRETS", tmp_path)
    assert not is_open_to_others(secret)


def test_credential_can_come_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("mfi_typed\n"))
    options = parse_options([*LEAST[:3], "--credential-file", "-", "--model", "a"], {})
    assert (options.credential, options.credential_file) == ("mfi_typed", None)


def test_ca_file_without_a_certificate_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "ca.pem"
    empty.write_text("nothing")
    for path in (empty, tmp_path / "missing.pem"):
        with pytest.raises(UsageError, match=f"--ca-file {path}"):
            parse("--ca-file", str(path))


def test_folder_is_announced_by_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "motherfluxer-tiny"
    folder.mkdir()
    monkeypatch.chdir(folder)
    options = parse_options([*LEAST[:-1], "."], {})
    assert options.model_name == "motherfluxer-tiny"


def test_server_needs_an_address_and_no_model(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("sk-1\n")
    env = {"MOTHERFLUXER_UPSTREAM_KEY_FILE": str(file), "MOTHERFLUXER_UPSTREAM": "http://h:1/"}
    options = parse_options([*LEAST[:-2], "--engine", "openai"], env)
    assert options.upstream == Upstream(url="http://h:1/v1", key="sk-1")
    assert (options.model, options.model_name) == ("", "")
    assert "sk-1" not in repr(options)


def test_server_can_be_asked_for_several_models() -> None:
    more = ["--engine", "openai", "--upstream", "https://h/api/v1", "--upstream-key", "sk"]
    options = parse(*more, "--model", "a/b, c:7b,", "--context-tokens", "4096")
    assert options.upstream == Upstream("https://h/api/v1", "sk", ("a/b", "c:7b"), 4096)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ([], "which server"),
        (["--upstream", "h:8000"], "should look like"),
        (["--upstream", "http://me:secret@h/v1"], "no user, password"),
        (["--upstream", "http://h", "--upstream-key-file", "/no/such"], "cannot be read"),
        (["--upstream", "http://h", "--upstream-key", "two words"], "no key has"),
        (["--upstream", "http://h", "--upstream-template", "/no/such"], "--upstream-template"),
        (["--upstream", "http://h", "--context-tokens", "many"], "--context-tokens"),
        (["--upstream", "http://h", "--model", ",".join(map(str, range(65)))], "65 models"),
    ],
)
def test_nonsense_about_the_server_is_named(more: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        parse("--engine", "openai", *more)
    assert "secret" not in str(caught.value)


def test_echo_needs_no_model() -> None:
    options = parse_options([*LEAST[:-2], "--engine", "echo"], {})
    assert options.model_name == "echo"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--router", "motherfluxer.ai"], "router's address"),
        (["--name", "My Box"], "--name"),
        (["--slots", "0"], "--slots"),
        (["--slots", "many"], "--slots"),
        (["--slots", "1.5"], "--slots"),
        (["--health-port", "70000"], "--health-port"),
        (["--credential", "two words"], "credential"),
    ],
)
def test_nonsense_is_named(more: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse(*more)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["run"], "which model"),
        (["run", "--model", "a"], "which router"),
        (["run", "--model", "a", "--router", "http://x"], "no credential"),
        (
            ["run", "--model", "a", "--router", "http://x", "--credential-file", "/no/such"],
            "cannot be read",
        ),
    ],
)
def test_what_is_missing_is_named(argv: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_options(argv, {})


def test_bench_needs_no_router_and_measures_up_to_the_slots() -> None:
    options = parse_options(["bench", "--engine", "echo"], {})
    assert (options.command, options.router_url, options.credential) == ("bench", "", "")
    assert options.levels == (1, 2, 4, 8, 16)
    assert parse_options(["bench", "--engine", "echo", "--slots", "3"], {}).levels == (1, 2, 3)
    chosen = ["bench", "--engine", "echo", "--concurrency", "8, 1,8", "--seconds", "2", "--json"]
    options = parse_options(chosen, {})
    assert (options.levels, options.seconds, options.is_json) == ((1, 8), 2.0, True)


@pytest.mark.parametrize("levels", ["", "0", "1;2", "257", "-1", "²"])
def test_senseless_levels_are_named(levels: str) -> None:
    with pytest.raises(UsageError, match="--concurrency"):
        parse_options(["bench", "--engine", "echo", "--concurrency", levels], {})


def test_command_line_of_run_is_understood_by_every_command() -> None:
    assert parse_options(["bench", *LEAST[1:]], {}).model == "a/phi-2"


def test_every_option_and_command_stands_in_the_readme() -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    for command in COMMANDS:
        assert f"motherfluxer-model {command}" in readme
        with pytest.raises(SystemExit), contextlib.redirect_stdout(io.StringIO()) as said:
            parse_options([command, "--help"], {})
        for option in set(re.findall(r"--[a-z-]+", said.getvalue())) - {"--help"}:
            assert f"`{option}" in readme, option


def test_engine_from_the_environment_is_checked_too() -> None:
    with pytest.raises(UsageError, match="--engine"):
        parse(env={"MOTHERFLUXER_ENGINE": "steam"})


def test_credential_stands_in_no_representation() -> None:
    assert "mfi_x" not in repr(parse())
