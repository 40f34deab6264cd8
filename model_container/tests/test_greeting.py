"""The first lines, as a person reads them."""

from motherfluxer_model import __version__
from motherfluxer_model.greeting import describe_machine, describe_model, introduce
from motherfluxer_wire.frames import Model

GIB = 2**30


def test_first_lines_say_who_and_what() -> None:
    assert introduce("box-1", "microsoft/phi-2", "transformers") == [
        f"I am box-1, motherfluxer-model {__version__}",
        "loading microsoft/phi-2 (transformers)",
    ]


def test_model_is_named_with_what_it_takes() -> None:
    model = Model("phi-2", context_tokens=2048, max_output_tokens=1024, revision="ef38")
    words = "serving phi-2, revision ef38: 2048 tokens of context, 4 jobs at once; loaded in 14 s"
    assert describe_model(model, 4, 14.2) == words


def test_machine_is_named_as_far_as_it_is_known() -> None:
    hardware: dict[str, str | int | float] = {
        "device": "cpu",
        "cpu_count": 4,
        "threads": 2,
        "dtype": "bfloat16",
        "parameters_millions": 2779.7,
    }
    words = (
        "running on cpu, 2 of 4 threads, bfloat16, 2,779.7 million parameters; "
        "5.9 GiB of memory taken, 14.0 GiB free"
    )
    assert describe_machine(hardware, int(5.9 * GIB), 14 * GIB) == words
    card: dict[str, str | int | float] = {"device": "NVIDIA H100", "gpu_memory_gib": 79.2}
    assert "NVIDIA H100, 79.2 GiB on the card; 0 B" in describe_machine(card, 0, None)
    assert describe_machine({}, 0, None).startswith("running on an unknown device")
