"""How letters are written down for other processes, and read; what is not understood is left out.

While a site is upgraded, processes of two versions talk: a field that is new is left at its default
by the older one, a letter that is new is skipped.
"""

import logging
from typing import Any, Final, Generic, TypeVar

import msgspec

from apps.router.core import effects, letters
from apps.router.core.effects import Effect
from apps.router.core.events import Event
from apps.router.core.letters import AnyBetween, Between, Letter
from apps.router.records.segments import AnyEvent

log = logging.getLogger(__name__)

AnyTold = (
    AnyEvent
    | letters.GatewayCame
    | letters.GatewayAlive
    | letters.GatewayLeaving
    | letters.GatewayLeft
    | letters.JobHandedOver
)
AnyEffect = (
    effects.WelcomeInstance
    | effects.AssignJob
    | effects.CancelAttempt
    | effects.RequeueJob
    | effects.ShowPlace
    | effects.FinishJob
    | effects.RefuseJob
    | effects.CloseLink
    | letters.AdoptJob
    | letters.GatewayGone
    | letters.TellAnew
)
KindT = TypeVar("KindT")


class LetterDecoder(Generic[KindT]):
    """Reads batches of one kind of letters."""

    def __init__(self, kind: Any) -> None:
        self._all = msgspec.msgpack.Decoder(list[kind])
        self._parts = msgspec.msgpack.Decoder(list[msgspec.Raw])
        self._one = msgspec.msgpack.Decoder(kind)

    def decode(self, payload: bytes) -> list[KindT | None]:
        """Return the letters in order, None for each that is not understood."""
        try:
            found: list[KindT | None] = self._all.decode(payload)
        except msgspec.DecodeError:
            found = [self._decode_one(part) for part in self._decode_parts(payload)]
        return found

    def _decode_parts(self, payload: bytes) -> list[msgspec.Raw]:
        try:
            return self._parts.decode(payload)
        except msgspec.DecodeError:
            log.error("letters are unreadable")
            return []

    def _decode_one(self, part: msgspec.Raw) -> KindT | None:
        try:
            letter: KindT = self._one.decode(part)
        except msgspec.DecodeError as error:
            log.warning("a letter is not understood: %s", error)
            return None
        return letter


encode_letter: Final = msgspec.msgpack.Encoder().encode
TOLD: Final = LetterDecoder[Event | Letter](AnyTold)
EFFECTS: Final = LetterDecoder[Effect](AnyEffect)
BETWEEN: Final = LetterDecoder[Between](AnyBetween)
