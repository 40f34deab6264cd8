"""Chat completions: a job handed to the router, and its stream told to the client."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from apps.api.answers import KEEP_ALIVE, ChunkWriter, completion_body, error_event
from apps.api.conf import CONF
from apps.api.errors import ApiError, api_error_of_job
from apps.api.exchange import Exchange, Headers
from apps.api.schemas import ChatRequest, chat_request_parse
from apps.router.errors import ErrorCode
from apps.router.live.streams import Ended, JobRequest, JobStream, Piece
from apps.router.ports import Caller
from apps.router.services import job_cancel, job_submit


async def chat_complete(exchange: Exchange, caller: Caller) -> None:
    """Answer a chat completion. Raises ApiError, JobRefusedError, ClientGoneError."""
    asked = chat_request_parse(await exchange.read_body())
    stream = job_submit(
        request=JobRequest(
            messages=asked.messages,
            requester=caller.requester,
            service_class="registered",
            request_id=exchange.request_id,
            sampling=asked.sampling,
            model_name=asked.model,
            may_wait_for_instance=False,
        )
    )
    exchange.notes["job"] = stream.job_id
    try:
        async with _ended_with_client(exchange, stream):
            await (_reply_streamed if asked.is_streamed else _reply_whole)(exchange, stream, asked)
    finally:
        if stream.started is not None:
            exchange.notes["instance"] = stream.started.instance_name
        exchange.notes["attempts"] = stream.attempt


@asynccontextmanager
async def _ended_with_client(exchange: Exchange, stream: JobStream) -> AsyncIterator[None]:
    """Stop the job as soon as nobody is left to read it, whatever the reply is waiting for."""

    def client_gone(gone: asyncio.Task[None]) -> None:
        if stream.ended is None and not gone.cancelled():
            exchange.is_client_gone = True
            job_cancel(job_id=stream.job_id, reason="the client hung up")

    gone = asyncio.create_task(exchange.wait_gone())
    gone.add_done_callback(client_gone)
    try:
        yield
    finally:
        gone.cancel()
        if stream.ended is None:
            job_cancel(job_id=stream.job_id, reason="the request has ended")


async def _reply_whole(exchange: Exchange, stream: JobStream, asked: ChatRequest) -> None:
    ended = await stream.wait_ended()
    exchange.headers = _job_headers(exchange, stream)
    finish_reason = _finish_reason(ended)
    body = completion_body(
        job_id=stream.job_id,
        model=_model_name(stream, asked),
        created=int(time.time()),
        text=stream.text,
        finish_reason=finish_reason,
        usage=stream.usage,
    )
    await exchange.reply(200, body)


async def _reply_streamed(exchange: Exchange, stream: JobStream, asked: ChatRequest) -> None:
    await _wait_for_text(stream)
    exchange.headers = _job_headers(exchange, stream)
    if stream.ended is not None and not stream.text:
        _finish_reason(stream.ended)
    event_stream = (b"content-type", b"text/event-stream; charset=utf-8")
    unbuffered = (b"x-accel-buffering", b"no")
    await exchange.start(200, [event_stream, unbuffered])
    writer = ChunkWriter(
        job_id=stream.job_id,
        model=_model_name(stream, asked),
        created=int(time.time()),
        includes_usage=asked.includes_usage,
    )
    async with _kept_alive(exchange) as tell:
        ended = await _tell_pieces(stream, writer, tell)
    try:
        last = writer.ending(_finish_reason(ended), stream.usage)
    except ApiError as error:
        last = error_event(error.body)
        if not exchange.is_client_gone:
            exchange.notes["error"] = error.code.value
    await exchange.send(last, is_last=True)


async def _wait_for_text(stream: JobStream) -> None:
    """Wait for the answer's beginning or its end, though not for long."""
    try:
        async with asyncio.timeout(CONF.start_within_s):
            async for event in stream.read(tells_places=False):
                if isinstance(event, Piece | Ended):
                    return
    except TimeoutError:
        return


class _Teller:
    """Sends events, and knows whether any was sent since it was last asked."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.is_busy = False
        self.was_quiet = True

    async def send(self, event: bytes) -> None:
        self.is_busy = True
        self.was_quiet = False
        await self.exchange.send(event)
        self.is_busy = False


@asynccontextmanager
async def _kept_alive(exchange: Exchange) -> AsyncIterator[_Teller]:
    """Send a comment now and then while nothing else is sent; costs nothing for each piece."""
    teller = _Teller(exchange)

    async def keep() -> None:
        while True:
            await asyncio.sleep(CONF.keep_alive_s)
            if teller.was_quiet and not teller.is_busy:
                await exchange.send(KEEP_ALIVE)
            teller.was_quiet = True

    keeper = asyncio.create_task(keep())
    try:
        yield teller
    finally:
        keeper.cancel()


async def _tell_pieces(stream: JobStream, writer: ChunkWriter, teller: _Teller) -> Ended:
    if not stream.text and stream.ended is None:
        await teller.send(KEEP_ALIVE)
    opening = writer.opening()
    async for event in stream.read(tells_places=False):
        if isinstance(event, Piece):
            await teller.send(opening + writer.piece(event.text))
            opening = b""
        elif isinstance(event, Ended):
            if opening:
                await teller.send(opening)
            return event
    raise AssertionError("a stream's last event is its end")


def _finish_reason(ended: Ended) -> str:
    """Return why a whole answer ended. Raises ApiError for any other end."""
    if ended.error is not None:
        raise api_error_of_job(ended.error)
    if ended.finish_reason not in ("stop", "length"):
        raise ApiError(ErrorCode.ANSWER_INTERRUPTED, "The answer was stopped before its end.")
    return ended.finish_reason


def _model_name(stream: JobStream, asked: ChatRequest) -> str:
    return stream.started.model_name if stream.started is not None else asked.model


def _job_headers(exchange: Exchange, stream: JobStream) -> Headers:
    decision = exchange.address_of(f"/transparency/decisions/{stream.job_id}")
    headers = [
        (b"x-motherfluxer-attempts", b"%d" % stream.attempt),
        (b"x-motherfluxer-decision", decision.encode("ascii", errors="replace")),
    ]
    if stream.started is not None:
        name = stream.started.instance_name.encode("ascii")
        headers.insert(0, (b"x-motherfluxer-instance", name))
    return headers
