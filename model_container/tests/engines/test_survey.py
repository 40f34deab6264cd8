"""What is found out about a server before it serves: by asking, not by its name."""

from pathlib import Path
from typing import Any

import pytest

from motherfluxer_model.core.manner import OPTIONAL_FIELDS, Way
from motherfluxer_model.engines.files import find_model_files
from motherfluxer_model.engines.openai import OpenAIEngine
from motherfluxer_model.engines.roster import Served
from motherfluxer_model.errors import EngineLoadError
from motherfluxer_model.testing.parrot import MARK, Habits, Refusal
from motherfluxer_model.testing.upstream import FakeUpstream
from motherfluxer_model.upstream import Upstream

TEMPLATE = "{% for m in messages %}U:{{ m['content'] }}{% endfor %} A:"


async def prepare(upstream: FakeUpstream, **options: Any) -> Served:
    engine = OpenAIEngine(Upstream(upstream.url, **options))
    try:
        await engine.prepare()
        (served,) = engine._roster.served.values()
        return served
    finally:
        await engine.close()


@pytest.mark.parametrize(
    ("habits", "way"),
    [
        (Habits(), None),
        (Habits(continues_by="flag"), Way.FINAL_MESSAGE),
        (Habits(continues_by="last"), Way.FINAL_MESSAGE),  # it takes the flag and needs it not
        (
            Habits(continues_by="last", refused_fields=frozenset({"continue_final_message"})),
            Way.LAST_MESSAGE,
        ),
        (Habits(has_text_path=True), None),
    ],
)
async def test_continuing_is_announced_where_it_worked(habits: Habits, way: Way | None) -> None:
    async with FakeUpstream(habits) as upstream:
        served = await prepare(upstream)
    assert served.found.manner.way == way
    assert served.model.capabilities == (["chat", "continue"] if way else ["chat"])
    assert served.model.fingerprint is None


async def test_a_template_makes_plain_text_a_way(tmp_path: Path) -> None:
    file = tmp_path / "template.jinja"
    file.write_text(TEMPLATE)
    async with FakeUpstream(Habits(has_text_path=True)) as upstream:
        served = await prepare(upstream, template=file)
    assert served.found.manner.way is Way.TEMPLATE
    assert served.model.can_continue


async def test_a_wrong_template_is_no_way(tmp_path: Path) -> None:
    file = tmp_path / "template.jinja"
    file.write_text("Something else: {{ messages[0]['content'] }}")
    async with FakeUpstream(Habits(has_text_path=True)) as upstream:
        assert not (await prepare(upstream, template=file)).model.can_continue


@pytest.mark.parametrize("is_echoing", [True, False])
@pytest.mark.parametrize("is_trimming", [True, False])
async def test_echo_and_lost_blanks_are_found(is_echoing: bool, is_trimming: bool) -> None:
    habits = Habits(continues_by="flag", is_echoing=is_echoing, is_trimming=is_trimming)
    async with FakeUpstream(habits) as upstream:
        manner = (await prepare(upstream)).found.manner
    assert (manner.is_echoing, manner.is_trimming) == (is_echoing, is_trimming)


@pytest.mark.parametrize("name", OPTIONAL_FIELDS)
async def test_a_field_that_is_refused_is_left_out(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with FakeUpstream(Habits(refused_fields=frozenset({name}))) as upstream:
        served = await prepare(upstream)
    assert served.found.manner.fields == set(OPTIONAL_FIELDS) - {name}
    assert f"refuses {name}" in caplog.text


async def test_the_newer_name_of_the_limit_is_found() -> None:
    async with FakeUpstream(Habits(refused_fields=frozenset({"max_tokens"}))) as upstream:
        served = await prepare(upstream)
    assert served.found.manner.limit_field == "max_completion_tokens"


@pytest.mark.parametrize(
    ("habits", "is_obeying"),
    [
        (Habits(is_obeying_marks=True), True),
        (Habits(is_obeying_marks=False), None),  # none of the model's own marks is known
        (Habits(is_counting=False), None),
    ],
)
async def test_whether_marks_are_obeyed_is_found_by_the_tokens_counted(
    habits: Habits, is_obeying: bool | None, caplog: pytest.LogCaptureFixture
) -> None:
    async with FakeUpstream(habits) as upstream:
        found = (await prepare(upstream)).found
    assert found.is_obeying is is_obeying
    assert found.breaker is not None
    assert MARK not in found.breaker(MARK)
    assert "special tokens" in caplog.text


async def test_marks_stay_where_the_models_own_are_taken_as_text(tmp_path: Path) -> None:
    file = tmp_path / "template.jinja"
    file.write_text(MARK + TEMPLATE)
    async with FakeUpstream(Habits(is_obeying_marks=False)) as upstream:
        found = (await prepare(upstream, template=file)).found
    assert found.is_obeying is False
    assert found.breaker is None


@pytest.mark.parametrize(
    ("told", "chosen", "tokens"),
    [
        ({"max_model_len": 700}, 0, 700),
        ({"context_length": 700, "meta": {"n_ctx_train": 9}}, 0, 700),
        ({"meta": {"n_ctx_train": 900, "n_ctx": 512}}, 0, 512),
        ({"max_model_len": "many"}, 0, 4096),
        ({}, 0, 4096),
        ({"max_model_len": 700}, 300, 300),
    ],
)
async def test_context_is_what_is_told_or_chosen(
    told: dict[str, Any], chosen: int, tokens: int
) -> None:
    async with FakeUpstream() as upstream:
        upstream.models = [{"id": "m", **told}]
        model = (await prepare(upstream, context_tokens=chosen)).model
    assert (model.context_tokens, model.max_output_tokens) == (tokens, tokens // 2)


async def test_revision_tells_versions_apart_and_nothing_else() -> None:
    revisions = []
    for told in (
        {"created": 1, "owned_by": "vllm"},
        {"created": 2, "owned_by": "vllm"},
        {"created": 3, "owned_by": "vllm", "root": "other"},
        {"revision": "v7"},
    ):
        async with FakeUpstream() as upstream:
            upstream.models = [{"id": "m", **told}]
            revisions.append((await prepare(upstream)).model.revision)
    assert revisions[0] == revisions[1] != revisions[2]
    assert revisions[3] == "v7"


@pytest.mark.parametrize(
    ("status", "model_ids", "words"),
    [
        (401, (), "refuses the key"),
        (403, ("org/parrot",), "refuses the key"),
        (404, (), "lists no models"),
        (500, (), "name them with --model"),
    ],
)
async def test_what_the_operator_must_change_is_named(
    status: int, model_ids: tuple[str, ...], words: str
) -> None:
    async with FakeUpstream(Habits(refused_fields=frozenset({"model"}))) as upstream:
        upstream.models_refusal = Refusal(status, "no")
        with pytest.raises(EngineLoadError, match=words):
            await prepare(upstream, model_ids=model_ids)


async def test_a_long_list_is_not_asked_through() -> None:
    async with FakeUpstream() as upstream:
        upstream.models = [{"id": f"m-{n}"} for n in range(17)]
        with pytest.raises(EngineLoadError, match="lists 17 models"):
            await prepare(upstream)
        assert upstream.requests == []
        assert (await prepare(upstream, model_ids=("m-16",))).model.name == "m-16"


async def test_a_model_that_cannot_chat_is_named() -> None:
    async with FakeUpstream(Habits(refused_fields=frozenset({"messages"}))) as upstream:
        with pytest.raises(EngineLoadError, match=r"none of its models: org/parrot: .*Unexpected"):
            await prepare(upstream)


async def test_a_model_that_is_not_ready_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("motherfluxer_model.engines.roster.FIRST_POLL_S", 0.001)
    async with FakeUpstream() as upstream:
        upstream.models.append({"id": "second", "max_model_len": 50})
        refusal = Refusal(503, "loading")
        monkeypatch.setattr("motherfluxer_model.engines.survey.GREETING", "script")
        upstream.scripts.extend([[refusal], [refusal], [refusal], [refusal]])
        engine = OpenAIEngine(Upstream(upstream.url))
        await engine.prepare()
        await engine.close()
    assert not upstream.scripts


async def test_a_server_that_cannot_list_serves_what_is_named() -> None:
    async with FakeUpstream() as upstream:
        upstream.models_refusal = Refusal(500, "offline")
        served = await prepare(upstream, model_ids=("some/where/m-1",))
    assert served.model.name == "m-1"
    assert upstream.requests[0][1]["model"] == "some/where/m-1"


async def test_the_key_is_sent() -> None:
    async with FakeUpstream() as upstream:
        upstream.key = "sk-1"
        assert (await prepare(upstream, key="sk-1")).model.name == "parrot"


async def test_no_file_is_read_that_the_operator_did_not_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.gguf").write_bytes(b"\xff\x00")
    (tmp_path / "config.json").write_text("no JSON")
    monkeypatch.chdir(tmp_path)
    for model_id in ("model.gguf", ".", str(tmp_path)):
        async with FakeUpstream() as upstream:
            upstream.models = [{"id": model_id}]
            assert (await prepare(upstream)).render is None


def test_a_models_folder_tells_template_marks_and_context(model_folder: Path) -> None:
    files = find_model_files(model_folder)
    assert files is not None
    assert files.context_tokens == 256
    assert {"<|end|>", "<|user|>", "<|assistant|>"} <= set(files.marks)
    assert find_model_files(model_folder.parent) is None
    assert find_model_files(model_folder / "nowhere") is None
