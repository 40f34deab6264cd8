"""Figures of the demo."""

from dataclasses import dataclass

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from limits import parse


@dataclass(frozen=True, slots=True)
class DemoConf:
    """How a visitor is known again, and what no site has a reason to change."""

    cookie_name: str = "mf-visitor"
    cookie_salt: str = "apps.demo.visitor"
    cookie_max_age_s: int = 30 * 24 * 3600
    key_bytes: int = 18
    # What is sent with a visitor's question: the conversation so far counts too.
    prompt_bytes: int = 16_000
    # Whoever holds a ticket says so again and again; one that nobody holds any more is void.
    lease_s: float = 30.0
    renew_every_s: float = 10.0
    # When somebody of the same network is to be through.
    network_retry_s: int = 5
    # A challenge: how many sums it may take at most, half of that on average.
    proof_sums_count: int = 400_000
    proof_valid_s: int = 300
    proof_payload_chars: int = 2_000


CONF = DemoConf()


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many within any stretch of time that long."""

    most: int
    window_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the site grants to visitors. `proof_after` None: no proof of work is asked for."""

    per_visitor: Limit
    per_network: Limit
    everybody: Limit
    running_per_network: int
    proof_after: int | None = None


def rules_read() -> Rules:
    """Return the rules that the settings give. Raises ImproperlyConfigured naming the setting."""
    return Rules(
        per_visitor=_limit("DEMO_LIMIT"),
        per_network=_limit("DEMO_ADDRESS_LIMIT"),
        everybody=_limit("DEMO_CEILING"),
        running_per_network=settings.DEMO_ADDRESS_RUNNING,
        proof_after=settings.DEMO_PROOF_AFTER,
    )


def _limit(name: str) -> Limit:
    try:
        read = parse(getattr(settings, name))
    except ValueError as error:
        message = f'{name} is to be such as "10/day" or "30/hour": {error}'
        raise ImproperlyConfigured(message) from error
    return Limit(read.amount, read.get_expiry())
