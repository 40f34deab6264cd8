"""The app's constants, with their units."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountsConf:
    """How keys and their use are kept, what the first run makes, how accounts end and begin."""

    api_key_read_every_s: float = 0.9
    api_keys_read_count: int = 4096
    api_key_used_every_s: float = 60.0
    api_key_name_chars: int = 64
    api_key_models_count: int = 64
    api_key_requests_per_minute: int = 100_000
    api_key_days: int = 3_650
    api_key_expires_soon_days: int = 7
    api_keys_of_user_count: int = 50
    api_keys_a_day_count: int = 100
    usage_waiting_count: int = 10_000
    usage_model_name_chars: int = 200
    usage_kept_days: int = 400  # keys that have ended, too
    usage_tokens_of_call_count: int = 100_000_000
    password_bytes: int = 15
    first_run_file: str = "first-run.txt"

    unverified_kept_s: int = 24 * 3600
    stand_in_bytes: int = 16
    stand_in_domain: str = "@stand-in.invalid"
    deletion_grace_days: int = 14
    invitation_days: int = 7
    invitation_kept_days: int = 90
    application_chars: int = 1000


CONF = AccountsConf()
