"""The router's end of one instance's link: what it serves, and what waits to be sent to it."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from apps.router.live.carrying import Carried
from apps.router.ports import Admission
from motherfluxer_wire import limits
from motherfluxer_wire.codec import encode
from motherfluxer_wire.errors import WireError, WireRule
from motherfluxer_wire.frames import Frame, Model, ResumeOffer

_MAX_WAITING_FRAMES: Final = 4096


@dataclass(frozen=True, slots=True)
class CloseRequest:
    """The last thing in an outbox: close the websocket."""

    code: int
    reason: str


class InstanceLink:
    """One connected instance. Frames are put in the outbox; the consumer sends them in order."""

    def __init__(self, *, session: str, admission: Admission) -> None:
        self.session = session
        self.admission = admission
        self.name = ""
        self.agent = ""
        self.region: str | None = None
        self.models: dict[str, Model] = {}
        self.slots = 0
        self.heard_at = 0.0
        self.beat_at = float("-inf")
        self.warnings: list[str] = []
        self.unknown_offers: list[str] = []
        self.offers: dict[str, ResumeOffer] = {}
        self.carried: dict[str, Carried] = {}
        self.is_draining = False
        self.is_change_due = False
        self.is_closed = False
        self.outbox: asyncio.Queue[str | CloseRequest] = asyncio.Queue()

    @property
    def instance_id(self) -> str:
        """What stays the same over reconnects: the credential and the name under it."""
        return f"{self.admission.credential_id}/{self.name}"

    def serve(self, models: Iterable[Model]) -> list[str]:
        """Note the models served from now on; return the names that the credential forbids.

        None at all: the instance pauses. Raises WireError when nothing is left of what it offers.
        """
        allowed = self.admission.allowed_models
        offered = list(models)
        self.models = {m.name: m for m in offered if allowed is None or m.name in allowed}
        forbidden = [m.name for m in offered if m.name not in self.models]
        if forbidden and not self.models:
            detail = f"the credential does not allow {', '.join(forbidden)}"
            raise WireError(WireRule.MODEL_NOT_ALLOWED, detail)
        return forbidden

    def send(self, frame: Frame) -> None:
        """Queue a frame. An instance that does not read is closed rather than waited for.

        Raises WireError when the frame is too large for the wire.
        """
        self.send_text(encode(frame))

    def send_text(self, text: str) -> None:
        """Queue a frame that is written down already."""
        if self.is_closed:
            return
        if self.outbox.qsize() >= _MAX_WAITING_FRAMES:
            self.close(limits.CLOSE_OVERLOADED, "the instance does not read")
            return
        self.outbox.put_nowait(text)

    def close(self, code: int, reason: str) -> None:
        """Queue the websocket's end; nothing is sent after it."""
        if not self.is_closed:
            self.is_closed = True
            self.outbox.put_nowait(CloseRequest(code, reason))
