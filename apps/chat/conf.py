"""Figures of the chat."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChatConf:
    """Limits of one question, of the conversation sent with it, and of the event streams.

    claim_s, claim_renew_s: a conversation is kept for its answer by renewing that; who dies
        lets it go within that time. Long enough for another process to go on with the answer.
    found_within_s: an answer that runs in the database but is known to nobody may be on its way
        to another process for so long; then it was interrupted.
    stored_within_s: how long a question may take to stand in the database once its job is taken.
    kept_within_s: how long the end of an answer elsewhere may take to stand in the database.
    """

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
    claim_s: float = 12.0
    claim_renew_s: float = 2.0
    found_within_s: float = 5.0
    found_every_s: float = 0.25
    stored_within_s: float = 10.0
    kept_within_s: float = 10.0
    kept_every_s: float = 0.1
    database_again_first_s: float = 0.25
    database_again_most_s: float = 2.0
    demo_retention_h: int = 24
    # Time enough to confirm an e-mail address; a visitor's conversations last no longer anyway.
    keep_token_s: int = 24 * 3600


CONF = ChatConf()
