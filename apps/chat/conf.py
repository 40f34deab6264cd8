"""Figures of the chat."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChatConf:
    """Limits of one question, of the conversation sent with it, and of the event streams."""

    max_question_chars: int = 8000
    title_chars: int = 60
    history_length_count: int = 50
    # What is sent must fit the model. Bytes a token: English runs at about 4, other scripts and
    # tiny vocabularies at about 2; the share of the context is what remains beside the answer.
    prompt_share: float = 0.6
    bytes_per_token: int = 2
    template_bytes_per_turn: int = 24
    fallback_context_tokens: int = 1024
    whole_answer_wait_s: float = 20.0
    refresh_s: int = 2
    keep_alive_s: float = 15.0
    reconnect_ms: int = 500
    demo_retention_h: int = 24
    # Time enough to confirm an e-mail address; a visitor's conversations last no longer anyway.
    keep_token_s: int = 24 * 3600


CONF = ChatConf()
