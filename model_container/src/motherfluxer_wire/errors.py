"""The wire's one error: what is wrong with a frame, by a stable code.

WireError       a frame that breaks a rule of motherfluxer.v1
"""

from enum import StrEnum


class WireRule(StrEnum):
    """The rule a frame broke; the text before the colon of a 4000 close reason."""

    FRAME_TOO_LARGE = "frame_too_large"
    NOT_TEXT = "not_text"
    INVALID_UTF8 = "invalid_utf8"
    INVALID_JSON = "invalid_json"
    UNKNOWN_TYPE = "unknown_type"
    INVALID_FRAME = "invalid_frame"
    HELLO_EXPECTED = "hello_expected"
    SECOND_HELLO = "second_hello"
    CHUNK_GAP = "chunk_gap"
    MODEL_NOT_ALLOWED = "model_not_allowed"


class WireError(Exception):
    """A frame breaks a rule of the protocol."""

    def __init__(self, rule: WireRule, detail: str) -> None:
        super().__init__(f"{rule}: {detail}")
        self.rule = rule
        self.detail = detail

    @property
    def close_reason(self) -> str:
        """The reason of the close frame: at most 123 bytes of UTF-8, as RFC 6455 allows."""
        return str(self).encode()[:123].decode(errors="ignore")
