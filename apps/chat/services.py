"""Writes of the chat: ask, stop, delete."""

import asyncio
import contextlib
import secrets
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.chat.allowances import bounds_of, question_chars_of, ticket_taken
from apps.chat.answers import answer_keep, answer_settled, note_of
from apps.chat.askers import Asker
from apps.chat.choice import ModelChoice, model_choice
from apps.chat.claims import Claim, claimed
from apps.chat.conf import CONF
from apps.chat.database import in_own_thread
from apps.chat.history import prompt_budget_bytes, turns_fit
from apps.chat.models import Conversation, Message
from apps.chat.running import RunningAnswer, running_add, running_find
from apps.chat.selectors import BrokenAnswer, wire_turns_of
from apps.router.errors import ErrorCode, JobError, JobRefusedError
from apps.router.live.streams import JobRequest, JobStream
from apps.router.ports import VisitorTicket
from apps.router.selectors import router_view
from apps.router.services import job_cancel, job_submit
from motherfluxer_wire.frames import Message as WireMessage
from motherfluxer_wire.frames import Sampling


@dataclass(frozen=True, slots=True)
class _Exchange:
    """A question that is about to be stored."""

    asker: Asker
    conversation_id: uuid.UUID
    is_new: bool
    text: str


async def message_ask(
    *, asker: Asker, conversation_id: uuid.UUID | None, text: str, proof: str = ""
) -> RunningAnswer:
    """Ask a question in a conversation of the asker's, or in a new one, and return its answer.

    Raises JobRefusedError: then nothing was stored and nothing taken from the visitor's number.
    """
    text = _question_checked(asker, text)
    is_new, conversation_id = conversation_id is None, conversation_id or uuid.uuid4()
    async with claimed(conversation_id) as claim, ticket_taken(asker, proof=proof) as ticket:
        turns: list[WireMessage] = []
        if not is_new:
            turns = await in_own_thread(wire_turns_of, conversation_id=conversation_id)
        exchange = _Exchange(asker, conversation_id, is_new, text)
        return await _answer_start(exchange, turns, claim, ticket)


async def message_continue(*, asker: Asker, broken: BrokenAnswer, proof: str = "") -> RunningAnswer:
    """Have an answer that broke off continued from its last character, in the same message.

    Raises JobRefusedError: then what there is stays as it was, and nothing was taken.
    """
    async with (
        claimed(broken.conversation_id) as claim,
        ticket_taken(asker, proof=proof) as ticket,
    ):
        return await _answer_take_up(asker, broken, claim, ticket)


async def message_stop(*, answer: Message) -> None:
    """Stop an answer, wherever it runs, and wait until what there is of it is kept."""
    job_cancel(job_id=answer.job_id, reason="The reader stopped it.")
    if live := running_find(message_id=answer.pk):
        await asyncio.wait({live.kept}, timeout=CONF.kept_within_s)
    else:
        await answer_settled(answer)


def conversation_rename(*, conversation_id: uuid.UUID, title: str) -> bool:
    """Give a conversation another title; return whether it is still there."""
    return bool(Conversation.objects.filter(pk=conversation_id).update(title=title))


async def conversation_delete(*, conversation_id: uuid.UUID) -> None:
    """Delete a conversation with all its messages, and stop what still runs in it."""
    running = Message.objects.filter(conversation_id=conversation_id, state=Message.State.RUNNING)
    async for job_id in running.values_list("job_id", flat=True):
        job_cancel(job_id=job_id, reason="Its conversation was deleted.")
    await Conversation.objects.filter(pk=conversation_id).adelete()


def draft_keep(*, asker: Asker, conversation_id: uuid.UUID | None, text: str) -> None:
    """Keep a question for which nothing was left, so that it goes along to an account.

    It lies with its conversation, or with the visitor's newest: who has none leaves nothing here.
    """
    mine = Conversation.objects.filter(owner=None, visitor_key=asker.visitor_key)
    newest = mine.first() if conversation_id is None else mine.filter(pk=conversation_id).first()
    if newest is not None:
        mine.filter(pk=newest.pk).update(draft=text[: CONF.max_question_chars])


def demo_conversations_delete_old() -> int:
    """Delete visitors' conversations past their retention and return how many."""
    oldest = timezone.now() - timedelta(hours=CONF.demo_retention_h)
    _, counts = Conversation.objects.filter(owner=None, created__lt=oldest).delete()
    return counts.get(Conversation._meta.label, 0)


def title_of(text: str) -> str:
    """Return what a conversation that begins with this question is called."""
    line = " ".join(text.split())
    return line if len(line) <= CONF.title_chars else line[: CONF.title_chars - 1].rstrip() + "…"


def _question_checked(asker: Asker, text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\x00", "").strip()
    if not text:
        raise JobRefusedError(JobError(ErrorCode.INVALID_REQUEST, "The question is empty."))
    most = question_chars_of(asker)
    if len(text) > most:
        more = f", with an account {CONF.max_question_chars}" if asker.is_visitor else ""
        message = f"A question may have at most {most} characters{more}."
        raise JobRefusedError(JobError(ErrorCode.REQUEST_TOO_LARGE, message))
    return text


async def _answer_start(
    exchange: _Exchange, turns: list[WireMessage], claim: Claim, ticket: VisitorTicket | None
) -> RunningAnswer:
    asker, choice = exchange.asker, await model_choice()
    turns.append(WireMessage(role="user", content=exchange.text))
    request = _job_request(asker, turns, choice, note=note_of(ticket))
    stream = await job_submit(request=request)
    with _cancelled_on_error(stream, "Its question could not be stored."):
        answer = await in_own_thread(_exchange_store, exchange, job_id=stream.job_id)
    claim.is_handed_on = True
    return running_add(
        message_id=answer.pk,
        conversation_id=answer.conversation_id,
        asker=asker,
        stream=stream,
        choice=choice,
        keeping=answer_keep(answer.pk, stream, choice, claim, ticket),
    )


async def _answer_take_up(
    asker: Asker, broken: BrokenAnswer, claim: Claim, ticket: VisitorTicket | None
) -> RunningAnswer:
    asked = choice = await model_choice()
    served = {model.name for model in router_view().models}
    if broken.model_name in served and choice.may_be(broken.model_name):
        asked = replace(choice, name=broken.model_name, behind_alias=None)
    request = _job_request(asker, broken.turns, asked, note=note_of(ticket), beginning=broken.text)
    stream = await job_submit(request=request)
    with _cancelled_on_error(stream, "Its message could not be taken up."):
        await in_own_thread(_answer_take_up_store, broken=broken, job_id=stream.job_id)
    claim.is_handed_on = True
    return running_add(
        message_id=broken.message_id,
        conversation_id=broken.conversation_id,
        asker=asker,
        stream=stream,
        choice=choice,
        keeping=answer_keep(broken.message_id, stream, choice, claim, ticket),
    )


@contextlib.contextmanager
def _cancelled_on_error(stream: JobStream, reason: str) -> Iterator[None]:
    """Stop a job whose answer has nowhere to be kept."""
    try:
        yield
    except BaseException:
        job_cancel(job_id=stream.job_id, reason=reason)
        raise


def _answer_take_up_store(*, broken: BrokenAnswer, job_id: str) -> None:
    """Let the message run again. Raises JobRefusedError if somebody else did so meanwhile."""
    rows = Message.objects.filter(pk=broken.message_id, job_id=broken.job_id)
    earlier = " ".join((*broken.earlier_job_ids, broken.job_id))
    begun: dict[str, Any] = {"state": Message.State.RUNNING, "job_id": job_id, "error_code": ""}
    if not rows.update(**begun, earlier_job_ids=earlier):
        message = "This answer was continued already. Reload the page to see it."
        raise JobRefusedError(JobError(ErrorCode.INVALID_REQUEST, message))


def _job_request(
    asker: Asker,
    turns: Sequence[WireMessage],
    choice: ModelChoice,
    *,
    note: str,
    beginning: str = "",
) -> JobRequest:
    contexts = [model.context_tokens for model in router_view().models if choice.may_be(model.name)]
    budget = prompt_budget_bytes(min(contexts, default=CONF.fallback_context_tokens))
    bounds = bounds_of(asker)
    if bounds is not None:
        budget = min(budget, bounds.prompt_bytes)
    return JobRequest(
        messages=turns_fit(turns, budget_bytes=budget - len(beginning.encode())),
        requester=asker.requester,
        service_class=asker.service_class,
        request_id=uuid.uuid4().hex,
        sampling=Sampling(
            temperature=0.0,
            seed=secrets.randbits(31),
            max_tokens=bounds.answer_tokens if bounds is not None else None,
        ),
        model_name=choice.name,
        may_wait_for_instance=True,
        can_move=True,
        beginning=beginning,
        keeper_note=note,
    )


def _exchange_store(exchange: _Exchange, *, job_id: str) -> Message:
    """Store the question and its answer to come, in one transaction."""
    asker, text = exchange.asker, exchange.text
    with transaction.atomic():
        if exchange.is_new:
            conversation = Conversation.objects.create(
                pk=exchange.conversation_id,
                owner_id=asker.user_id,
                visitor_key=asker.visitor_key,
                title=title_of(text),
            )
        else:
            rows = Conversation.objects.select_for_update()
            conversation = rows.get(pk=exchange.conversation_id)
            conversation.draft = ""
            conversation.save(update_fields=["draft", "updated"])
        number = conversation.messages.count()
        question = {"number": number, "role": Message.Role.USER, "content": text}
        conversation.messages.create(**question)
        return conversation.messages.create(
            number=number + 1,
            role=Message.Role.ASSISTANT,
            content="",
            state=Message.State.RUNNING,
            job_id=job_id,
        )
