"""Fills the router's `instance_gate`: who may connect, and the record of who did."""

import logging
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import msgspec
from channels.db import database_sync_to_async
from django.utils import timezone

from apps.databases import AGAIN_IN_S, DATABASE_AWAY, DATABASE_AWAY_WORDS
from apps.instances import selectors, services
from apps.instances.conf import CONF
from apps.instances.models import Credential
from apps.instances.throttle import FailureCounter
from apps.router.ports import Admission, LinkRefusal
from motherfluxer_wire.frames import Hello
from motherfluxer_wire.tokens import INSTANCE_PREFIX, presented_token

logger = logging.getLogger(__name__)

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def _in_thread(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Run a query beside the event loop, in any thread, on that thread's own connection."""
    result: _T = await database_sync_to_async(function, thread_sensitive=False)(*args, **kwargs)
    return result


class CredentialGate:
    """Admits instances by credential."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = FailureCounter(CONF)
        self._connected: set[tuple[str, str]] = set()
        self._touched_at = clock()

    async def admit(self, *, credential: str | None, address: str) -> Admission | LinkRefusal:
        """Check a credential; one and the same answer for unknown, revoked and expired."""
        try:
            admission = await _in_thread(_admission, credential or "", address)
        except DATABASE_AWAY as error:
            logger.warning("no instance can be admitted: %s", error)
            return LinkRefusal(
                status=503,
                code="database_away",
                message=DATABASE_AWAY_WORDS,
                retry_after_s=AGAIN_IN_S,
            )
        if admission is not None:
            return admission
        wait_s = self._failures.failed(address, now=self._clock())
        logger.info("instance refused", extra={"address": address, "wait_s": wait_s})
        return _refusal(wait_s)

    async def ended_credentials(self, credential_ids: frozenset[str]) -> frozenset[str]:
        """Return those that were revoked or have expired; keep the record of the others fresh."""
        now = self._clock()
        if self._connected and now - self._touched_at >= CONF.touch_every_s:
            self._touched_at = now
            await _in_thread(services.instances_touch, connected=tuple(self._connected))
        if not credential_ids:
            return credential_ids
        return await _in_thread(selectors.tokens_ended, token_ids=credential_ids)

    async def instance_joined(self, admission: Admission, hello: Hello) -> None:
        """Record that an instance is connected and what it serves."""
        self._connected.add((admission.credential_id, hello.instance))
        await _in_thread(
            services.instance_record,
            token_id=admission.credential_id,
            name=hello.instance,
            agent=hello.agent,
            served_models=msgspec.to_builtins(hello.models),
            slots=hello.slots,
            region=hello.region or "",
            hardware=hello.hardware,
        )

    async def instance_left(self, admission: Admission, instance_name: str) -> None:
        """Record that an instance's last link has ended."""
        self._connected.discard((admission.credential_id, instance_name))
        await _in_thread(
            services.instance_disconnect, token_id=admission.credential_id, name=instance_name
        )

    async def known_models(self) -> frozenset[str]:
        """Return the names of all models that an admitted instance has ever announced."""
        return await _in_thread(selectors.model_names_known)


def _admission(text: str, address: str) -> Admission | None:
    token = presented_token(INSTANCE_PREFIX, text)
    credential = selectors.credential_of_token(token_id=token.id)
    is_right = token.matches(None if credential is None else credential.digest)
    # What follows takes time that only the holder of the right secret can measure.
    if credential is None or not is_right or not _is_usable(credential):
        return None
    services.credential_used(credential_id=credential.pk, address=address)
    return Admission(
        credential_id=credential.token_id,
        credential_name=credential.name,
        operator_email=credential.operator.email,
        allowed_models=frozenset(credential.allowed_models) if credential.allowed_models else None,
    )


def _is_usable(credential: Credential) -> bool:
    operator = credential.operator
    is_valid = credential.state_at(timezone.now()) == "valid"
    return is_valid and operator.is_active and operator.is_operator


def _refusal(wait_s: int | None) -> LinkRefusal:
    if wait_s is None:
        return LinkRefusal(
            status=401,
            code="invalid_credential",
            message="This credential is not valid: mistyped, unknown, revoked or expired. "
            "Issue a new one on the operators' site.",
        )
    return LinkRefusal(
        status=429,
        code="too_many_failures",
        message="Too many invalid credentials came from this address, this one included. "
        f"Check the credential and try again in {wait_s} s.",
        retry_after_s=wait_s,
    )
