"""Proof of work by ALTCHA (version 2): challenges of the site's own, and what solves them.

A challenge is signed and kept nowhere; that a solution counts once is the ledger's part.
"""

import secrets
import time
from typing import Any, Final

import altcha
from django.utils.crypto import salted_hmac

from apps.demo.conf import CONF
from apps.demo.ledger import Proof

_ALGORITHM: Final = "SHA-256"


def challenge_make() -> dict[str, Any]:
    """Return a fresh challenge as the page's script takes it."""
    challenge = altcha.create_challenge(
        _ALGORITHM,
        cost=1,
        counter=secrets.randbelow(CONF.proof_sums_count),
        expires_at=int(time.time()) + CONF.proof_valid_s,
        hmac_secret=_secret("challenge"),
        hmac_key_secret=_secret("key"),
    )
    return challenge.to_dict()


def proof_checked(payload: str) -> Proof | None:
    """Return the proof that a payload is; None for whatever is none: made up, wrong or too old."""
    if not payload or len(payload) > CONF.proof_payload_chars:
        return None
    try:
        solved = altcha.Payload.from_base64(payload)
        result = altcha.verify_solution(
            solved, _secret("challenge"), hmac_key_secret=_secret("key")
        )
    # Whatever a stranger sends: the library reads it field by field and trips over each in its way.
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    parameters = solved.challenge.parameters
    if not result.verified or parameters.expires_at is None:
        return None
    return Proof(parameters.nonce, float(parameters.expires_at))


def _secret(purpose: str) -> str:
    return salted_hmac("apps.demo.proofs", purpose, algorithm="sha256").hexdigest()
