"""Reads the environment: the only module that does."""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import environ
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
# Each may stand in a file instead, which NAME_FILE names: what a variable holds is seen by every
# program that the process starts, and by whoever may inspect a container.
SECRETS: Final = (
    *("SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "DATABASE_URL", "REDIS_URL", "EMAIL_URL"),
    *("SENTRY_DSN", "METRICS_TOKEN", "SOCIAL_PROVIDERS", "BACKUP_KEY", "SECRET_KEY_FALLBACKS"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What the surroundings decide; every field is an environment variable of the same name."""

    var_dir: Path
    static_dir: Path
    domain: str
    port: int
    bind: list[str]
    web_workers: int
    drain_s: float
    keep_alive_s: int
    debug: bool
    database: dict[str, Any]
    redis_url: str | None
    secret_key: str
    secret_key_fallbacks: list[str]
    field_encryption_keys: list[str]
    demo_limit: str
    demo_address_limit: str
    demo_address_running: int
    demo_ceiling: str
    demo_proof_after: int | None
    demo_question_chars: int
    demo_answer_tokens: int
    rest_limit: str
    rest_address_limit: str
    events_kept_hours: float
    api_requests_per_minute: int
    api_cors_origins: list[str]
    email: dict[str, Any]
    sentry_dsn: str | None
    metrics_token: str | None
    backup_keys: list[str]
    backup_dir: Path | None
    backup_kept_days: float
    trusted_proxies: list[str]
    social_providers: dict[str, list[dict[str, Any]]]

    @property
    def local_credential_path(self) -> Path:
        """Where the credential of the instance that `make run` starts is kept."""
        return self.var_dir / "local-instance.credential"


def read_environment() -> Environment:
    """Read and check the environment.

    Secrets that are not given are made once and kept in the var folder, readable by its owner
    alone; `settings.production` refuses to start on such secrets.
    """
    env = environ.Env()
    env.ENVIRON = _with_files_read(os.environ)
    var_dir = Path(env.str("MOTHERFLUXER_VAR", default=str(BASE_DIR / "var")))
    return Environment(
        var_dir=var_dir,
        static_dir=Path(env.str("MOTHERFLUXER_STATIC", default=str(var_dir / "static"))),
        domain=env.str("MOTHERFLUXER_DOMAIN", default="motherfluxer.localhost").lower(),
        port=env.int("PORT", default=8000),
        bind=env.list("MOTHERFLUXER_BIND", default=["127.0.0.1", "::1"]),
        web_workers=env.int("WEB_WORKERS", default=1),
        drain_s=env.float("DRAIN_SECONDS", default=20.0),
        keep_alive_s=env.int("KEEP_ALIVE_SECONDS", default=65),
        debug=env.bool("DEBUG", default=False),
        database=dict(env.db_url("DATABASE_URL", default=f"sqlite:///{var_dir / 'site.sqlite3'}")),
        redis_url=env.str("REDIS_URL", default="") or None,
        secret_key=env.str("SECRET_KEY", default="") or _kept_secret(var_dir / "secret-key"),
        secret_key_fallbacks=env.list("SECRET_KEY_FALLBACKS", default=[]),
        field_encryption_keys=env.list("FIELD_ENCRYPTION_KEYS", default=[])
        or [_kept_secret(var_dir / "field-encryption-key")],
        demo_limit=env.str("DEMO_LIMIT", default="10/day"),
        demo_address_limit=env.str("DEMO_ADDRESS_LIMIT", default="30/hour"),
        demo_address_running=env.int("DEMO_ADDRESS_RUNNING", default=4),
        demo_ceiling=env.str("DEMO_CEILING", default="120/minute"),
        demo_proof_after=_optional_int(env.str("DEMO_PROOF_AFTER", default="")),
        demo_question_chars=env.int("DEMO_QUESTION_CHARS", default=4000),
        demo_answer_tokens=env.int("DEMO_ANSWER_TOKENS", default=1024),
        rest_limit=env.str("REST_LIMIT", default="300/minute"),
        rest_address_limit=env.str("REST_ADDRESS_LIMIT", default="120/minute"),
        events_kept_hours=env.float("EVENTS_KEPT_HOURS", default=24.0),
        api_requests_per_minute=env.int("API_REQUESTS_PER_MINUTE", default=600),
        api_cors_origins=env.list("API_CORS_ORIGINS", default=[]),
        email=dict(env.email_url("EMAIL_URL", default="filemail://")),
        sentry_dsn=env.str("SENTRY_DSN", default="") or None,
        backup_keys=env.list("BACKUP_KEY", default=[]),
        backup_dir=_optional_path(env.str("BACKUP_DIR", default="")),
        backup_kept_days=env.float("BACKUP_KEPT_DAYS", default=30.0),
        metrics_token=env.str("METRICS_TOKEN", default="") or None,
        trusted_proxies=_named_proxies(env.list("TRUSTED_PROXIES", default=[])),
        social_providers=_social_providers(env.str("SOCIAL_PROVIDERS", default="")),
    )


def _social_providers(text: str) -> dict[str, list[dict[str, Any]]]:
    """Read which other sites one may sign in by: a JSON object, by allauth's names for them.

    Each holds what that site has given out, `client_id` and `secret`, or a list of such.
    Raises ImproperlyConfigured.
    """
    try:
        given = json.loads(text or "{}")
        lists = {name: one if isinstance(one, list) else [one] for name, one in given.items()}
        for name, apps in lists.items():
            if not name.isidentifier() or not all(app["client_id"] for app in apps):
                raise ValueError(name)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        words = 'SOCIAL_PROVIDERS is no JSON like {"github": {"client_id": "…", "secret": "…"}}.'
        raise ImproperlyConfigured(words) from error
    return lists


def has_given_secrets() -> bool:
    """Whether both secrets come from the environment rather than from the var folder."""
    given = _with_files_read(os.environ)
    return bool(given.get("SECRET_KEY") and given.get("FIELD_ENCRYPTION_KEYS"))


def _with_files_read(variables: Mapping[str, str]) -> dict[str, str]:
    """Add the secrets that stand in files; an empty file gives none.

    Raises ImproperlyConfigured.
    """
    given = dict(variables)
    for name in SECRETS:
        path = given.get(f"{name}_FILE")
        if not path:
            continue
        if given.get(name):
            raise ImproperlyConfigured(f"Set {name} or {name}_FILE, not both.")
        try:
            text = Path(path).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is no text"
            raise ImproperlyConfigured(f"{name}_FILE {path} cannot be read: {why}.") from error
        given.update({name: text} if text else {})
    return given


def _named_proxies(proxies: list[str]) -> list[str]:
    if "*" in proxies:
        raise ImproperlyConfigured(
            "TRUSTED_PROXIES is to name the proxies: with * everybody could choose an address."
        )
    return proxies


def _optional_path(text: str) -> Path | None:
    return Path(text) if text else None


def _optional_int(text: str) -> int | None:
    return int(text) if text else None


def _kept_secret(path: Path) -> str:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        secret = Fernet.generate_key().decode() if "encryption" in path.name else _random_secret()
        _write_once(path, secret)
    return path.read_text().strip()


def _random_secret() -> str:
    return secrets.token_urlsafe(50)


def _write_once(path: Path, secret: str) -> None:
    """Write the file whole or not at all; of two processes that start together one wins."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.touch(mode=0o600)
    fresh.write_text(secret + "\n")
    try:
        os.link(fresh, path)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
