"""The app's constants, with their units."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountsConf:
    """How keys are kept, and what the first run makes."""

    api_key_used_every_s: float = 60.0
    api_key_name_chars: int = 64
    api_keys_of_user_count: int = 50
    password_bytes: int = 15
    first_run_file: str = "first-run.txt"


CONF = AccountsConf()
