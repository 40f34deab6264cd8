"""From a question to its answer, in any dialect: submit, wait, stream, and stop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from apps.api.conf import CONF
from apps.api.dialects.base import Dialect, EventWriter, Question
from apps.api.errors import ApiError, ClientGoneError
from apps.api.exchange import Exchange, Headers
from apps.api.idempotency import KEPT, idempotency_key, request_digest, reused_error
from apps.api.jobs import ApiJob
from apps.api.named_jobs import NamedJobs, named_jobs
from apps.router.errors import ErrorCode
from apps.router.live.streams import Ended, JobStream, Piece
from apps.router.ports import Caller
from apps.router.services import job_follow


async def question_answer(exchange: Exchange, caller: Caller, dialect: Dialect) -> None:
    """Answer a question. Raises ApiError, JobRefusedError, ClientGoneError."""
    body = await exchange.read_body()
    is_long = len(body) >= CONF.long_body_bytes
    question = await asyncio.to_thread(dialect.read, body) if is_long else dialect.read(body)
    model_check(caller, question.model)
    job = await _job_of(exchange, caller, question, body)
    exchange.notes["job"] = job.stream.job_id
    reply = _reply_streamed if question.is_streamed else _reply_whole
    try:
        with job.reader():
            async with _while_client_listens(exchange):
                await reply(exchange, job)
    finally:
        if job.stream.started is not None:
            exchange.notes["instance"] = job.stream.started.instance_name
        exchange.notes["attempts"] = job.stream.attempt


async def _job_of(exchange: Exchange, caller: Caller, question: Question, body: bytes) -> ApiJob:
    """Return a new job, or the one of the same request if this is sent again. Raises ApiError."""
    name = idempotency_key(exchange)
    if name is None:
        return await ApiJob.submitted(question, caller, request_id=exchange.request_id)
    digest = request_digest(exchange, body)
    job, own = KEPT.find(caller.key_id, name, digest), None
    if job is None:
        own = _Submission(question, caller, exchange.request_id)
        shared = named_jobs()
        job = await (own.job() if shared is None else _job_shared(shared, name, digest, own))
    if own is not None and job is own.made:
        KEPT.keep(caller.key_id, name, digest, job)
    else:
        exchange.headers.append((b"idempotent-replayed", b"true"))
    return job


@dataclass(slots=True)
class _Submission:
    """A named question that is handed in unless another process has done so."""

    question: Question
    caller: Caller
    request_id: str
    made: ApiJob | None = None

    async def job(self) -> ApiJob:
        """Hand it in."""
        self.made = await ApiJob.submitted(
            self.question, self.caller, request_id=self.request_id, stays_s=CONF.reader_awaited_s
        )
        return self.made

    def followed(self, stream: JobStream, created: int) -> ApiJob:
        """Return another process's job for it."""
        return ApiJob(self.question, self.caller, stream, created=created, is_followed=True)

    async def job_id(self) -> str:
        """Hand it in and return what it is known by."""
        return (await self.job()).stream.job_id


async def _job_shared(shared: NamedJobs, name: str, digest: bytes, own: _Submission) -> ApiJob:
    """Return the job of a name over all processes: this one's own, or one that it follows."""
    key_id = own.caller.key_id
    entry = await shared.find(key_id, name, digest, own.job_id)
    while own.made is None:
        stream = None if entry.is_pending else await job_follow(job_id=entry.job_id)
        job = None if stream is None else own.followed(stream, entry.created)
        if entry.digest != digest.hex() and (entry.is_pending or not _has_failed(job)):
            raise reused_error()
        if job is not None and not job.has_failed:
            return job
        entry = await shared.renew(key_id, name, digest, own.job_id, old=entry)
    own.made.created = entry.created
    return own.made


def _has_failed(job: ApiJob | None) -> bool:
    return job is None or job.has_failed


def model_check(caller: Caller, model_name: str) -> None:
    """Refuse a name that the key may not ask for. Raises ApiError."""
    if caller.allowed_models is not None and model_name not in caller.allowed_models:
        words = f"The API key may not ask for the model {model_name[:128]!r}."
        raise ApiError(ErrorCode.MODEL_OUT_OF_SCOPE, words, param="model")


@asynccontextmanager
async def _while_client_listens(exchange: Exchange) -> AsyncIterator[None]:
    """Give up a reply as soon as nobody is left to read it, whatever it is waiting for.

    Raises ClientGoneError.
    """
    reply = asyncio.current_task()
    assert reply is not None  # noqa: S101 # for the type checker: a coroutine that runs has a task

    def hung_up(_: asyncio.Task[None]) -> None:
        if not exchange.is_over:
            exchange.is_client_gone = True
            reply.cancel()

    gone = asyncio.create_task(exchange.wait_gone())
    gone.add_done_callback(hung_up)
    try:
        yield
    except asyncio.CancelledError:
        if exchange.is_client_gone and not reply.uncancel():
            raise ClientGoneError from None
        raise
    finally:
        gone.remove_done_callback(hung_up)
        gone.cancel()


async def _reply_whole(exchange: Exchange, job: ApiJob) -> None:
    await job.stream.wait_ended()
    exchange.headers += _job_headers(exchange, job.stream)
    answer = job.answer(job.head(exchange.request_id))
    await exchange.reply(200, job.question.body(answer))


async def _reply_streamed(exchange: Exchange, job: ApiJob) -> None:
    await _wait_for_text(job)
    exchange.headers += _job_headers(exchange, job.stream)
    head = job.head(exchange.request_id)
    if job.stream.ended is not None and not job.text:
        job.answer(head)
    writer = job.question.writer(head)
    await exchange.start_events(writer.failure)
    async with _kept_alive(exchange, writer.keep_alive) as tell:
        await _tell_pieces(job, writer, tell)
    await exchange.send(writer.ending(job.answer(head)), is_last=True)


async def _wait_for_text(job: ApiJob) -> None:
    """Wait for the answer's beginning or its end, though not for long."""
    try:
        async with asyncio.timeout(CONF.start_within_s):
            async for event in job.stream.read(job.offset, tells_places=False):
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


async def _tell_pieces(job: ApiJob, writer: EventWriter, teller: _Teller) -> None:
    if not job.text and job.stream.ended is None:
        await teller.send(writer.waiting())
    is_open = False
    async for event in job.stream.read(job.offset, tells_places=False):
        if isinstance(event, Piece):
            opening = b"" if is_open else writer.opening()
            is_open = True
            await teller.send(opening + writer.piece(event.text))
    if not is_open:
        await teller.send(writer.opening())


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
