"""Breaking up what a server might obey as its template's own marks, typed by a user. Pure.

An OpenAI-compatible server gets a conversation as text and parses special tokens in it wherever
they came from. An invisible character inside one makes it a text that reads the same.
"""

import re
from collections.abc import Iterable
from typing import Final

JOINER: Final = "\u2060"  # "word joiner": no width, no line break, counts as no blank
_WIDE: Final = "\uff5c"  # the bar of DeepSeek's marks
# Shapes that nothing but a mark has, over the families of models: <|im_end|>, <|turn>, <turn|>,
# <end_of_turn>, and <|User|> with wide bars.
_SHAPE: Final = (
    rf"<\|[^<>|\s{JOINER}]{{1,64}}\|?>|<[^<>|\s{JOINER}]{{1,64}}\|>"
    rf"|<{_WIDE}[^<>{_WIDE}\n{JOINER}]{{1,64}}{_WIDE}>|<(?:start|end)_of_[a-z]{{1,20}}>"
)
# Marks that are words or tags elsewhere, by the one that ends a text or a turn of their family.
_FAMILIES: Final = {
    "</s>": ("<s>", "</s>", "<unk>"),
    "<eos>": ("<bos>", "<eos>", "<pad>"),
    "[/INST]": (
        *("[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[AVAILABLE_TOOLS]"),
        *("[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]"),
    ),
}
# One mark of each family, to find out whether a server obeys what a user types.
SAMPLES: Final = (
    *("<|im_end|>", "<|eot_id|>", "<end_of_turn>", "</s>", "<|end|>", "<|endoftext|>"),
    *(
        "[/INST]",
        "<turn|>",
        f"<{_WIDE}end\u2581of\u2581sentence{_WIDE}>",
        "<|end_of_text|>",
        "<|return|>",
        "<eos>",
    ),
)
_IN_TEMPLATE: Final = re.compile(rf"{_SHAPE}|</?s>|<(?:bos|eos|pad|unk)>|\[/?[A-Z_]{{3,20}}\]")


class MarkBreaker:
    """Breaks up marks by their shape, and those that a model is known to have."""

    def __init__(self, learned: Iterable[str] = ()) -> None:
        texts = {mark for text in learned for mark in (text, *_FAMILIES.get(text, ()))}
        longest_first = sorted((text for text in texts if len(text) > 1), key=len, reverse=True)
        exact = [re.escape(text) for text in longest_first]
        self._found = re.compile("|".join([*exact, _SHAPE]))

    def __call__(self, text: str) -> str:
        """Give the text with an invisible character inside each mark."""
        before = None
        while before != text:  # marks may overlap
            before, text = text, self._found.sub(_break, text)
        return text


def find_marks(template: str) -> list[str]:
    """Give what looks like a mark in a chat template, each once."""
    return list(dict.fromkeys(_IN_TEMPLATE.findall(template)))


def _break(found: re.Match[str]) -> str:
    return found[0][0] + JOINER + found[0][1:]
