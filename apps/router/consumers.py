"""The instance's websocket: authenticates, decodes, hands over. No rule about jobs lives here."""

import asyncio
import json
import logging
import secrets
from typing import Any, Final
from urllib.parse import unquote_plus

from channels.consumer import AsyncConsumer

from apps.router import ports
from apps.router.errors import PostFullError, TooMuchSaidError
from apps.router.live.gateway_process import GatewayProcess
from apps.router.live.links import CloseRequest, InstanceLink
from apps.router.live.runtime import live_gateway
from apps.router.ports import Admission, LinkRefusal
from motherfluxer_wire import limits
from motherfluxer_wire.codec import decode_from_instance
from motherfluxer_wire.errors import WireError, WireRule
from motherfluxer_wire.frames import FromInstance, Hello
from motherfluxer_wire.tokens import INSTANCE_PREFIX
from motherfluxer_wire.versions import PROTOCOLS, protocol_choose

log = logging.getLogger(__name__)

_FLUSH_S: Final = 2.0


class InstanceConsumer(AsyncConsumer):  # type: ignore[misc] # channels has no types
    """One instance's link, with a receive loop of its own: no hop to the database a frame."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one connection from its upgrade to its end."""
        self.scope, self.receive, self.base_send = scope, receive, send
        if (await receive())["type"] != "websocket.connect":
            return
        admitted = await self._admit()
        if isinstance(admitted, LinkRefusal):
            await self._refuse(admitted)
            return
        await send({"type": "websocket.accept", "subprotocol": self._protocol()})
        session = f"{live_gateway().gateway.own_id}.{secrets.token_hex(8)}"
        link = InstanceLink(session=session, admission=admitted)
        writer = asyncio.create_task(self._write(link))
        try:
            await self._serve(link, live_gateway())
        finally:
            link.close(limits.CLOSE_NORMAL, "")
            await self._finish(writer)

    async def _serve(self, link: InstanceLink, router: GatewayProcess) -> None:
        try:
            hello = await self._read_hello()
            if hello is None:
                return
            router.join(link, hello)
            await self._read_frames(link, router)
        except WireError as error:
            link.close(limits.CLOSE_PROTOCOL_ERROR, error.close_reason)
            extra = {"session": link.session, "instance": link.name, "rule": error.rule}
            log.warning("protocol error", extra=extra)
        except (PostFullError, TooMuchSaidError):
            link.close(limits.CLOSE_OVERLOADED, "the site can't take what you send")
        finally:
            router.leave(link)

    async def _read_hello(self) -> Hello | None:
        try:
            async with asyncio.timeout(limits.HELLO_TIMEOUT_S):
                frame = await self._read_frame()
        except TimeoutError as error:
            detail = f"no hello within {limits.HELLO_TIMEOUT_S:g} s"
            raise WireError(WireRule.HELLO_EXPECTED, detail) from error
        if frame is not None and not isinstance(frame, Hello):
            raise WireError(WireRule.HELLO_EXPECTED, "the first frame must be hello")
        return frame

    async def _read_frames(self, link: InstanceLink, router: GatewayProcess) -> None:
        receive = router.gateway.frame_received  # singledispatchmethod makes it anew at each access
        while (frame := await self._read_frame()) is not None and not link.is_closed:
            if isinstance(frame, Hello):
                raise WireError(WireRule.SECOND_HELLO, "hello was said before")
            receive(frame, link)

    async def _read_frame(self) -> FromInstance | None:
        message = await self.receive()
        if message["type"] == "websocket.disconnect":
            return None
        text = message.get("text")
        if text is None:
            raise WireError(WireRule.NOT_TEXT, "frames are text, not binary")
        return decode_from_instance(text)

    async def _write(self, link: InstanceLink) -> None:
        while True:
            item = await link.outbox.get()
            if isinstance(item, CloseRequest):
                close = {"type": "websocket.close", "code": item.code, "reason": item.reason}
                await self.base_send(close)
                return
            await self.base_send({"type": "websocket.send", "text": item})

    async def _finish(self, writer: asyncio.Task[None]) -> None:
        """Let the writer send what waits, the close frame last; a peer that is gone ends it too."""
        await asyncio.wait([writer], timeout=_FLUSH_S)
        writer.cancel()
        result = (await asyncio.gather(writer, return_exceptions=True))[0]
        if isinstance(result, Exception):
            log.debug("the peer was gone: %s", type(result).__name__)

    async def _admit(self) -> Admission | LinkRefusal:
        query = unquote_plus(self.scope["query_string"].decode("latin-1"))
        if f"{INSTANCE_PREFIX}_" in query:
            words = (
                "A credential in the address ends up in logs. Send it as a header and rotate it."
            )
            return LinkRefusal(status=401, code="credential_in_url", message=words)
        if self._protocol() is None:
            words = f"Offer a supported websocket subprotocol: {', '.join(PROTOCOLS)}."
            return LinkRefusal(status=426, code="unsupported_subprotocol", message=words)
        gate = ports.instance_gate.get()
        client = self.scope.get("client")
        return await gate.admit(credential=self._bearer(), address=client[0] if client else "")

    def _protocol(self) -> str | None:
        return protocol_choose(self.scope["subprotocols"])

    def _bearer(self) -> str | None:
        values = [value for name, value in self.scope["headers"] if name == b"authorization"]
        if len(values) != 1:
            return None
        scheme, _, token = values[0].decode("latin-1").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else None

    async def _refuse(self, refusal: LinkRefusal) -> None:
        if "websocket.http.response" not in self.scope.get("extensions", {}):
            await self.base_send({"type": "websocket.close", "code": 1008})
            return
        headers = [(b"content-type", b"application/json")]
        if refusal.status == 426:
            headers.append((b"sec-websocket-protocol", ", ".join(PROTOCOLS).encode()))
        if refusal.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        if refusal.retry_after_s is not None:
            headers.append((b"retry-after", str(refusal.retry_after_s).encode()))
        error: dict[str, object] = {"code": refusal.code, "message": refusal.message}
        if refusal.status == 426:
            error["supported"] = list(PROTOCOLS)
        body = json.dumps({"error": error}).encode()
        headers.append((b"content-length", str(len(body)).encode()))
        start = {"type": "websocket.http.response.start", "status": refusal.status}
        await self.base_send({**start, "headers": headers})
        await self.base_send({"type": "websocket.http.response.body", "body": body})
