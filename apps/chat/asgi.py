"""The event stream of one answer: `GET /chat/streams/<message id>`, below Django's middleware.

A reader that comes back says where it stopped, by `Last-Event-ID` or `?from=`, in characters.
The answer goes on without readers; a reader that does not read delays nobody.
"""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from importlib import import_module
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs

from django.conf import settings
from django.contrib.auth import get_user
from django.core.handlers.asgi import ASGIRequest

from apps.chat.allowances import allowance_data, allowance_of
from apps.chat.answers import answer_settled, cut_of
from apps.chat.askers import Asker
from apps.chat.choice import ModelChoice
from apps.chat.conf import CONF
from apps.chat.continuing import is_continuable
from apps.chat.database import in_own_thread
from apps.chat.events import KEEP_ALIVE, OPENING, event_bytes, stream_event_bytes
from apps.chat.models import Message
from apps.chat.running import RunningAnswer, UnderWay, running_find
from apps.chat.selectors import Turn, answer_again, answer_find, turn_of, under_way_of
from apps.chat.words import broken_off_words, cut_words, error_words
from apps.databases import AGAIN_IN_S, DATABASE_AWAY
from apps.router import ports
from apps.router.errors import JobMovedError
from apps.router.live.streams import Ended, Piece, Started, Waiting

logger = logging.getLogger(__name__)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
_MAX_ID_CHARS = 64


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Stream an answer to its owner; 404 to anybody else."""
    try:
        await _serve(scope, receive, send)
    except DATABASE_AWAY as error:
        logger.warning("a reader has to come again: %s", error)
        await _refuse(send, 503, (b"retry-after", b"%d" % AGAIN_IN_S))


async def _serve(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["method"] != "GET":
        await _refuse(send, 405, (b"allow", b"GET"))
        return
    message_id = _message_id(scope["path"])
    asker = await _asker_of(scope)
    if message_id is None or asker is None:
        await _refuse(send, 404)
        return
    live, row = running_find(message_id=message_id), None
    if live is None or live.asker.requester != asker.requester:
        # Whose it is stands in the database: a visitor who signed up owns it by another name.
        row = await in_own_thread(answer_find, message_id=message_id, asker=asker)
        if row is None:
            await _refuse(send, 404)
            return
    offset = _offset_of(scope)
    if live is not None:
        await _respond(receive, send, _live_events(live, asker, offset))
    elif row is not None:
        await _respond(receive, send, _events_of(row, asker, offset))


def _message_id(path: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(path.rstrip("/").rpartition("/")[2])
    except ValueError:
        return None


def _offset_of(scope: Scope) -> int:
    """Return how many characters the reader has; the header is newer than the address."""
    named = [value for name, value in scope["headers"] if name == b"last-event-id"]
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    text = named[0].decode("latin-1") if named else query.get("from", ["0"])[0]
    return int(text) if text.isascii() and text.isdigit() and len(text) < _MAX_ID_CHARS else 0


async def _asker_of(scope: Scope) -> Asker | None:
    """Tell who reads, by the session that the site named in the scope, else by visitor cookie."""
    request = ASGIRequest(scope, BytesIO())
    session_key = scope.get("mf_session_key")
    if session_key:
        user_id = await in_own_thread(_user_id, request, session_key)
        if user_id is not None:
            return Asker(user_id=user_id)
    gate = ports.visitor_gate.get_or_none()
    visitor_key = None if gate is None else gate.visitor_key(request)
    address = (scope.get("client") or [""])[0]
    return Asker(visitor_key=visitor_key, address=address) if visitor_key else None


def _user_id(request: ASGIRequest, session_key: str) -> int | None:
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    return get_user(request).pk


async def _refuse(send: Send, status: int, *headers: tuple[bytes, bytes]) -> None:
    head = [*headers, (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": b""})


async def _live_events(live: RunningAnswer, asker: Asker, offset: int) -> AsyncIterator[bytes]:
    stream = live.stream
    async for event in stream.read(offset):
        if not isinstance(event, Ended):
            yield stream_event_bytes(_labelled(event, live.choice))
            continue
        # Whoever sees the end may reload at once: it must stand in the database by then.
        await asyncio.wait({live.kept})
        started = stream.started
        error = event.error
        yield await _end_event(
            asker,
            finish_reason=event.finish_reason,
            error=None if error is None else (error.code, error.message),
            instance=started.instance_name if started else "",
            model=live.choice.label(started.model_name) if started else "",
            attempts=stream.attempt,
            job_id=stream.job_id,
            text=stream.text,
            cut_by=cut_of(stream, event) or "",
        )


async def _events_of(row: Message, asker: Asker, offset: int) -> AsyncIterator[bytes]:
    """Yield the events of an answer that runs at another process, or that is kept.

    While its end does not stand in the database, the reader is not told of one and comes again.
    """
    under_way = await _found(row)
    if under_way is not None and (stream := under_way.stream) is not None:
        async for event in stream.read(offset):
            if isinstance(event, Ended):
                break
            if isinstance(event, Piece):
                offset = event.offset
            yield stream_event_bytes(_labelled(event, under_way.choice))
    again = await answer_settled(row) if under_way is not None else await _again(row)
    if again is None or (again.state == Message.State.RUNNING and under_way is not None):
        return
    async for body in _kept_events(turn_of(again), asker, offset):
        yield body


async def _found(row: Message) -> UnderWay | None:
    """Return the answer under way of a message once it can be read; None: it is so no more.

    It may be on its way from one process to another.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + (CONF.found_within_s if settings.ROUTER_APART else 0.0)
    found: Message | None = row
    while found is not None:
        under_way = await under_way_of(found)
        if under_way is not None and under_way.stream is not None:
            return under_way
        is_over = found.state != Message.State.RUNNING
        if is_over or (under_way is None and loop.time() >= deadline):
            return None
        await asyncio.sleep(CONF.found_every_s)
        found = await _again(row)
    return None


async def _again(row: Message) -> Message | None:
    return await in_own_thread(answer_again, message_id=row.pk)


def _labelled(event: Waiting | Started | Piece, choice: ModelChoice) -> Waiting | Started | Piece:
    """Name the model as people see it."""
    if isinstance(event, Started):
        return replace(event, model_name=choice.label(event.model_name))
    return event


async def _kept_events(turn: Turn, asker: Asker, offset: int) -> AsyncIterator[bytes]:
    if len(turn.text) > offset:
        yield event_bytes("text", turn.text[offset:], len(turn.text))
    finish_reasons = {"complete": "stop", "stopped": "cancelled"}
    yield await _end_event(
        asker,
        finish_reason="length" if turn.cut_by else finish_reasons.get(turn.state),
        error=(turn.error_code, "") if turn.state == "failed" else None,
        instance=turn.instance_name,
        model=turn.model_label,
        attempts=turn.attempts,
        job_id=turn.job_id,
        text=turn.text,
        cut_by=turn.cut_by,
    )


async def _end_event(
    asker: Asker,
    *,
    finish_reason: str | None,
    error: tuple[str, str] | None,
    text: str,
    cut_by: str,
    **figures: str | int,
) -> bytes:
    allowance = await allowance_of(asker)
    words = None
    can_continue = is_continuable(
        is_whole=finish_reason in ("stop", "length"),
        text=text,
        error_code=error[0] if error is not None else "",
    )
    if error is not None and can_continue:
        words = broken_off_words(error[0], allowance=allowance).as_data()
    elif error is not None:
        words = error_words(*error, allowance=allowance).as_data()
    cut = cut_words(cut_by, is_visitor=asker.is_visitor).as_data() if cut_by else None
    data = {"finish_reason": finish_reason, "error": words, "can_continue": can_continue}
    shown = {"cut": cut, "allowance": allowance_data(allowance)}
    return event_bytes("end", {**data, **figures, **shown})


async def _respond(receive: Receive, send: Send, events: AsyncIterator[bytes]) -> None:
    """Send events as they come, a comment when none comes for long, until either side ends.

    A stream that ends without its last event makes the reader come again.
    """
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": OPENING, "more_body": True})
    gone = asyncio.ensure_future(_disconnected(receive))
    coming: asyncio.Future[bytes | None] | None = None
    waited: set[asyncio.Future[Any]]
    try:
        while True:
            coming = coming or asyncio.ensure_future(anext(events, None))
            waited = {coming, gone}
            await asyncio.wait(
                waited, timeout=CONF.keep_alive_s, return_when=asyncio.FIRST_COMPLETED
            )
            if gone.done():
                return
            body = KEEP_ALIVE
            if coming.done():
                found, coming = _result(coming), None
                if found is None:
                    break
                body = found
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()
        if coming is not None:
            coming.cancel()


def _result(coming: asyncio.Future[bytes | None]) -> bytes | None:
    """Return an event; None when there is no more to be had here."""
    try:
        return coming.result()
    except JobMovedError:
        return None
    except DATABASE_AWAY as error:
        logger.warning("a reader has to come again: %s", error)
        return None


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
