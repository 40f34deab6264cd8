"""Names that the core is given instead of those who ask: it need but tell them apart. Pure."""

from hashlib import blake2b

import msgspec

from apps.router.core.events import Event, JobSubmitted, RequesterLeft


def pseudonym(name: str, salt: bytes) -> str:
    """Return what stands for a name; without the salt nobody finds the name again."""
    return blake2b(name.encode(), key=salt, digest_size=9).hexdigest()


def with_pseudonyms(event: Event, salt: bytes) -> Event:
    """Return the event without who asks, and without the key of the conversation."""
    if isinstance(event, RequesterLeft):
        return msgspec.structs.replace(event, requester=pseudonym(event.requester, salt))
    if isinstance(event, JobSubmitted):
        return msgspec.structs.replace(
            event,
            requester=pseudonym(event.requester, salt),
            conversation=event.conversation and pseudonym(event.conversation, salt),
        )
    return event
