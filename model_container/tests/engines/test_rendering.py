"""What a user types is text; the template's own words are obeyed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motherfluxer_model.engines.markers import Marker, Markers, Run
from motherfluxer_model.engines.rendering import PLAIN_STOPS, Renderer
from motherfluxer_model.errors import GenerationError
from motherfluxer_wire.frames import Message

SPECIAL = ["<|pad|>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"]
TRIMMING = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system here') }}"
    "{% endif %}{{ '<|' + m.role + '|>\\n' + m.content | trim + '<|end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)
PLAIN = "{% for m in messages %}{{ m.role + ': ' + m.content + '\\n' }}{% endfor %}assistant:"

plain_texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)
nasty_texts = st.lists(
    st.sampled_from([*SPECIAL, "<|", "|>", "<", "end|>", " ", "\n", "hello", "é"]), max_size=6
).map("".join)


def messages(*contents: str) -> list[Message]:
    return [
        Message(role="assistant" if index % 2 else "user", content=content)
        for index, content in enumerate(contents)
    ]


def ordinary(tokenizer: Any, turns: list[Message]) -> list[int]:
    """Render the way the library does by itself."""
    chat = [{"role": turn.role, "content": turn.content} for turn in turns]
    ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
    return list(ids)


def with_template(tokenizer: Any, template: str | None) -> Renderer:
    saved = tokenizer.chat_template
    tokenizer.chat_template = template
    try:
        return Renderer(tokenizer)
    finally:
        tokenizer.chat_template = saved


@given(contents=st.lists(plain_texts | nasty_texts, min_size=1, max_size=4))
def test_conversation_without_special_tokens_is_the_librarys_own(
    contents: list[str], tokenizer: Any
) -> None:
    turns = [t for t in messages(*contents) if not any(mark in t.content for mark in SPECIAL)]
    if turns:
        assert Renderer(tokenizer).render(turns).ids == ordinary(tokenizer, turns)


@given(content=nasty_texts)
def test_typed_special_tokens_are_plain_text(content: str, tokenizer: Any) -> None:
    ids = Renderer(tokenizer).render(messages(content, "ok", content)).ids
    plain = tokenizer.encode(content, add_special_tokens=False, split_special_tokens=True)
    user, assistant, end = tokenizer.convert_tokens_to_ids(["<|user|>", "<|assistant|>", "<|end|>"])
    ok = tokenizer.encode("ok", add_special_tokens=False)
    assert ids == [user, *plain, end, assistant, *ok, end, user, *plain, end, assistant]


@given(content=nasty_texts, rim=st.sampled_from(["", " ", "\n "]))
def test_template_that_trims_still_trims(content: str, rim: str, tokenizer: Any) -> None:
    renderer = with_template(tokenizer, TRIMMING)
    ids = renderer.render(messages(rim + content + rim)).ids
    special = set(tokenizer.convert_tokens_to_ids(SPECIAL))
    assert [i for i in ids if i in special] == tokenizer.convert_tokens_to_ids(
        ["<|user|>", "<|end|>", "<|assistant|>"]
    )
    text = tokenizer.decode(ids)
    assert text == f"<|user|>\n{content.strip()}<|end|>\n<|assistant|>\n"


@given(content=nasty_texts)
def test_template_without_markup_is_encoded_as_one_run(content: str, tokenizer: Any) -> None:
    ids = with_template(tokenizer, PLAIN).render(messages(content)).ids
    text = f"user: {content}\nassistant:"
    assert ids == tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)


def test_template_that_refuses_is_a_bad_request_in_its_words(tokenizer: Any) -> None:
    renderer = with_template(tokenizer, TRIMMING)
    with pytest.raises(GenerationError, match="no system here") as caught:
        renderer.render([Message(role="system", content="Be brief.")])
    assert (caught.value.code, caught.value.retryable) == ("bad_request", False)


def test_empty_conversation_is_a_bad_request(tokenizer: Any) -> None:
    with pytest.raises(GenerationError) as caught:
        Renderer(tokenizer).render([])
    assert caught.value.code == "bad_request"


def test_base_model_gets_plain_words_and_a_stop(tokenizer: Any) -> None:
    renderer = with_template(tokenizer, None)
    turns = [
        Message(role="system", content="Be brief."),
        *messages("Hi<|end|>", "Hello", "Bye"),
    ]
    prompt = renderer.render(turns)
    text = "Be brief.\nInstruct: Hi<|end|>\nOutput: Hello\nInstruct: Bye\nOutput:"
    assert tokenizer.decode(prompt.ids) == text
    assert tokenizer.convert_tokens_to_ids("<|end|>") not in prompt.ids
    assert prompt.stops == PLAIN_STOPS


def test_turn_mark_that_is_not_declared_special_is_text_where_a_user_types_it() -> None:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    make: Any = PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(["ab"], trainers.BpeTrainer(initial_alphabet=alphabet))
    raw.add_tokens([AddedToken("[TURN]", special=False, normalized=False)])
    tokenizer = make(
        tokenizer_object=raw,
        chat_template="{% for m in messages %}[TURN]{{ m.content }}{% endfor %}[TURN]",
    )
    ids = Renderer(tokenizer).render(messages("a[TURN]b", "[TURN", "]")).ids
    mark = tokenizer.convert_tokens_to_ids("[TURN]")
    assert ids.count(mark) == 4
    assert tokenizer.decode(ids) == "[TURN]a[TURN]b[TURN][TURN[TURN]][TURN]"


def test_markers_swallow_the_blanks_that_the_tokenizer_swallows() -> None:
    markers = Markers([Marker("<l>", 1, strips_left=True), Marker("<r>", 2, strips_right=True)])
    parts = markers.split("a  <l> b <r>  c <r>")
    assert [part.text for part in parts] == ["a", "<l>", " b ", "<r>", "c ", "<r>"]
    assert isinstance(parts[0], Run)


def test_longer_of_two_markers_is_taken() -> None:
    markers = Markers([Marker("<a>", 1), Marker("<a><b>", 2)])
    assert [part.text for part in markers.split("<a><b><a>")] == ["<a><b>", "<a>"]


def test_no_markers_at_all_leave_text_alone() -> None:
    markers = Markers([])
    assert markers.find("text") == []
    assert markers.split("text") == [Run("text")]
