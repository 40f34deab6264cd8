"""Which versions of the protocol there are, and which one a link speaks. Pure."""

from collections.abc import Collection, Sequence
from typing import Final

from motherfluxer_wire.limits import PROTOCOL

# The newest first, at most two: a version is spoken until the one after its next comes.
PROTOCOLS: Final = (PROTOCOL,)


def protocol_choose(offered: Collection[str], spoken: Sequence[str] = PROTOCOLS) -> str | None:
    """Return the newest spoken one that is offered, whatever the offer's order; None: none is."""
    return next((protocol for protocol in spoken if protocol in offered), None)
