"""A server of another kind behind an instance: its answers stream, and survive it."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from motherfluxer_model.testing.serving import TransformersServer
from tests.acceptance.chats import StreamedAnswer
from tests.sites import TINY_MODEL, Instance, Site

QUESTION = "How do I become an operator?"
LAYERS = 60


@pytest.fixture(scope="session")
def slow_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the tiny model slow: with layers that add nothing it says the same, one by one."""
    import torch
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("models") / TINY_MODEL.name
    shutil.copytree(TINY_MODEL, folder)
    load: Any = AutoModelForCausalLM
    tiny = load.from_pretrained(TINY_MODEL)
    tiny.config.num_hidden_layers = LAYERS
    deep = load.from_config(tiny.config)
    with torch.no_grad():
        for layer in deep.model.layers:
            for last in (layer.self_attn.dense, layer.mlp.fc2):
                last.weight.zero_()
                last.bias.zero_()
    deep.load_state_dict(tiny.state_dict(), strict=False)
    deep.to(torch.bfloat16).save_pretrained(folder)
    return folder


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TransformersServer]:
    server = TransformersServer(tmp_path / "server.log").start()
    yield server
    server.kill9()


def start_before(site: Site, server: TransformersServer, model: Path, name: str) -> Instance:
    options = ("--upstream", server.url)
    instance = site.start_instance("openai", model=model, name=name, options=options)
    return instance.wait_connected()


def test_answers_survive_the_server_behind_an_instance(
    site: Site, server: TransformersServer, slow_model: Path
) -> None:
    key = site.api_key()
    instance = start_before(site, server, slow_model, "before-a-server")
    options = {"model": TINY_MODEL.name, "temperature": 0}
    whole = StreamedAnswer(site, key, QUESTION, **options).read()
    assert len(whole.split()) > 40

    def restart() -> None:
        server.kill9()
        server.launch()

    # The same server is back, later, and goes on.
    answer = StreamedAnswer(site, key, QUESTION, **options)
    assert answer.read(3, restart) == whole, (answer.error, instance.output)
    assert answer.finish_reason == "stop"

    # It stays away, and an instance with another engine goes on.
    other = site.start_instance("transformers", name="of-another-kind")
    answer = StreamedAnswer(site, key, QUESTION, **options)

    def kill_for_good() -> None:
        other.wait_connected()
        server.kill9()

    assert answer.read(3, kill_for_good) == whole, (answer.error, instance.output)
    assert answer.finish_reason == "stop"

    assert instance.is_running
    assert instance.output.count("connected to ws") == 1
    assert "connection lost" not in instance.output
    assert "serving nothing until it is back" in instance.output
