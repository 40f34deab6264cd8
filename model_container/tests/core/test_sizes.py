"""What a model takes in memory."""

import pytest

from motherfluxer_model.core.sizes import (
    FLOAT32_UP_TO_BYTES,
    Weights,
    conversation_bytes,
    show_bytes,
    sum_headers,
)

HEADER = {
    "__metadata__": {"format": "pt"},
    "a": {"dtype": "BF16", "shape": [10, 20], "data_offsets": [0, 400]},
    "b": {"dtype": "I8", "shape": [30], "data_offsets": [400, 430]},
    "scalar": {"dtype": "F32", "shape": [], "data_offsets": [430, 434]},
}


def test_floats_are_counted_and_the_rest_stays_as_it_is() -> None:
    assert sum_headers([HEADER, HEADER], 868) == Weights(868, 402, 60)


@pytest.mark.parametrize(
    ("dtype", "loaded"), [("float32", 430), ("bfloat16", 230), ("float16", 230), ("auto", 430)]
)
def test_type_decides_what_is_taken(dtype: str, loaded: int) -> None:
    assert Weights(230, 100, 30).loaded_bytes(dtype) == loaded


def test_fewer_bits_take_less() -> None:
    weights = Weights(200, 100, 30)
    assert weights.loaded_bytes("auto", "8bit") == 130
    assert weights.loaded_bytes("float32", "4bit") == 90


def test_large_files_are_not_doubled() -> None:
    weights = Weights(FLOAT32_UP_TO_BYTES + 2, FLOAT32_UP_TO_BYTES // 2 + 1, 0)
    assert weights.loaded_bytes("auto") == weights.file_bytes


def test_whole_conversation_is_two_numbers_a_layer_head_and_place() -> None:
    phi = {
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "hidden_size": 2560,
        "max_position_embeddings": 2048,
    }
    assert conversation_bytes(phi, 2) == 2 * 32 * 2560 * 2 * 2048
    assert conversation_bytes({**phi, "num_key_value_heads": 8}, 2) == 2 * 32 * 640 * 2 * 2048
    assert conversation_bytes({"text_config": phi}, 2) == conversation_bytes(phi, 2)
    assert conversation_bytes({"model_type": "mamba"}, 2) is None


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (2048, "2 KiB"), (5 * 2**20, "5 MiB"), (1.5 * 2**30, "1.5 GiB")],
)
def test_bytes_are_said_for_people(count: float, words: str) -> None:
    assert show_bytes(count) == words
