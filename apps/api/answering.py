"""From a question to its answer, in any dialect: submit, wait, stream, and stop."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from apps.api.conf import CONF
from apps.api.dialects.base import Answer, Dialect, EventWriter, Head, Question
from apps.api.errors import ApiError, api_error_of_job
from apps.api.exchange import Exchange, Headers
from apps.router.errors import ErrorCode
from apps.router.live.streams import Ended, JobRequest, JobStream, Piece
from apps.router.ports import Caller
from apps.router.services import job_cancel, job_submit


async def question_answer(exchange: Exchange, caller: Caller, dialect: Dialect) -> None:
    """Answer a question. Raises ApiError, JobRefusedError, ClientGoneError."""
    question = dialect.read(await exchange.read_body())
    stream = job_submit(
        request=JobRequest(
            messages=question.messages,
            requester=caller.requester,
            service_class="registered",
            request_id=exchange.request_id,
            sampling=question.sampling,
            model_name=question.model,
            may_wait_for_instance=False,
            beginning=question.beginning,
        )
    )
    exchange.notes["job"] = stream.job_id
    reply = _reply_streamed if question.is_streamed else _reply_whole
    try:
        async with _ended_with_client(exchange, stream):
            await reply(exchange, stream, question)
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


async def _reply_whole(exchange: Exchange, stream: JobStream, question: Question) -> None:
    ended = await stream.wait_ended()
    exchange.headers = _job_headers(exchange, stream)
    answer = _answer(ended, stream, _head(exchange, stream, question))
    await exchange.reply(200, question.body(answer))


async def _reply_streamed(exchange: Exchange, stream: JobStream, question: Question) -> None:
    await _wait_for_text(stream)
    exchange.headers = _job_headers(exchange, stream)
    head = _head(exchange, stream, question)
    if stream.ended is not None and not _text(stream):
        _answer(stream.ended, stream, head)
    writer = question.writer(head)
    await exchange.start_events(writer.failure)
    async with _kept_alive(exchange, writer.keep_alive) as tell:
        ended = await _tell_pieces(stream, writer, tell)
    await exchange.send(writer.ending(_answer(ended, stream, head)), is_last=True)


async def _wait_for_text(stream: JobStream) -> None:
    """Wait for the answer's beginning or its end, though not for long."""
    try:
        async with asyncio.timeout(CONF.start_within_s):
            async for event in stream.read(_offset(stream), tells_places=False):
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
async def _kept_alive(exchange: Exchange, keep_alive: bytes) -> AsyncIterator[_Teller]:
    """Send a little now and then while nothing else is sent; costs nothing for each piece."""
    teller = _Teller(exchange)

    async def keep() -> None:
        while True:
            await asyncio.sleep(CONF.keep_alive_s)
            if teller.was_quiet and not teller.is_busy:
                await exchange.send(keep_alive)
            teller.was_quiet = True

    keeper = asyncio.create_task(keep())
    try:
        yield teller
    finally:
        keeper.cancel()


async def _tell_pieces(stream: JobStream, writer: EventWriter, teller: _Teller) -> Ended:
    if not _text(stream) and stream.ended is None:
        await teller.send(writer.waiting())
    is_open = False
    async for event in stream.read(_offset(stream), tells_places=False):
        if isinstance(event, Piece):
            opening = b"" if is_open else writer.opening()
            is_open = True
            await teller.send(opening + writer.piece(event.text))
        elif isinstance(event, Ended):
            if not is_open:
                await teller.send(writer.opening())
            return event
    raise AssertionError("a stream's last event is its end")


def _offset(stream: JobStream) -> int:
    """Return where the answer begins in the stream's text: after what the question gave."""
    return len(stream.request.beginning)


def _text(stream: JobStream) -> str:
    return stream.text[_offset(stream) :]


def _head(exchange: Exchange, stream: JobStream, question: Question) -> Head:
    model = stream.started.model_name if stream.started is not None else question.model
    return Head(
        job_id=stream.job_id,
        model=model,
        created=int(time.time()),
        request_id=exchange.request_id,
    )


def _answer(ended: Ended, stream: JobStream, head: Head) -> Answer:
    """Return a whole answer. Raises ApiError when the job has ended in any other way."""
    if ended.error is not None:
        raise api_error_of_job(ended.error)
    if ended.finish_reason not in ("stop", "length"):
        raise ApiError(ErrorCode.ANSWER_INTERRUPTED, "The answer was stopped before its end.")
    return Answer(
        head=head, text=_text(stream), finish_reason=ended.finish_reason, usage=stream.usage
    )


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
