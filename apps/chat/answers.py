"""Keeps answers: waits for their ends and writes them down, whichever process they began at."""

import asyncio
import logging
import uuid
from typing import Any, Final

import msgspec

from apps.chat.allowances import ticket_end, ticket_held
from apps.chat.askers import Asker
from apps.chat.choice import ModelChoice, model_choice
from apps.chat.claims import Claim
from apps.chat.conf import CONF
from apps.chat.cutting import CutBy, cut_by
from apps.chat.database import in_own_thread, until_answered
from apps.chat.models import Message
from apps.chat.running import running_add
from apps.chat.selectors import answer_again
from apps.router.errors import JobMovedError
from apps.router.live.streams import Ended, JobStream
from apps.router.ports import VisitorTicket
from apps.router.selectors import router_view

logger = logging.getLogger(__name__)

_APP: Final = "chat"


class ChatKeeper:
    """Goes on keeping answers whose process is gone."""

    async def adopt(self, stream: JobStream) -> bool:
        """Take an answer on, if a message runs by that job; the database may make it wait."""
        is_ours, ticket = _noted(stream.request.keeper_note)
        row = await _row_awaited(stream) if is_ours else None
        if row is None:
            return False
        choice = await until_answered(model_choice)
        claim = Claim(row.conversation_id)
        await claim.overtake()
        conversation = row.conversation
        running_add(
            message_id=row.pk,
            conversation_id=row.conversation_id,
            asker=Asker(user_id=conversation.owner_id, visitor_key=conversation.visitor_key),
            stream=stream,
            choice=choice,
            keeping=answer_keep(row.pk, stream, choice, claim, ticket),
        )
        return True


async def answer_keep(
    message_id: uuid.UUID,
    stream: JobStream,
    choice: ModelChoice,
    claim: Claim,
    ticket: VisitorTicket | None,
) -> None:
    """Wait for an answer's end, then keep it. A visitor gets back what brought no answer.

    An answer that moves to another process is kept there; its claim and ticket are left as well.
    """
    try:
        async with ticket_held(ticket):
            ended = await stream.wait_ended()
    except JobMovedError:
        claim.leave()
        return
    has_grown = len(stream.text) > len(stream.request.beginning)
    brought_nothing = ended.finish_reason == "cancelled" and not has_grown
    await ticket_end(ticket, is_used=ended.error is None and not brought_nothing)
    kept = _kept(stream, ended, choice)
    try:
        await until_answered(lambda: in_own_thread(_answer_store, message_id, stream.job_id, kept))
    except Exception:  # the rim of a task: nobody waits for it, so the log is the only witness
        logger.exception("An answer could not be kept.")
    await claim.release()


async def answer_settled(row: Message) -> Message | None:
    """Wait until an answer that another process keeps has its end in the database, not for long.

    Return it as it stands then; None when it has been deleted.
    """
    deadline = asyncio.get_running_loop().time() + CONF.kept_within_s
    found: Message | None = row
    while found is not None and found.state == Message.State.RUNNING:
        if asyncio.get_running_loop().time() > deadline:
            break
        await asyncio.sleep(CONF.kept_every_s)
        found = await in_own_thread(answer_again, message_id=row.pk)
    return found


def cut_of(stream: JobStream, ended: Ended) -> CutBy | None:
    """Tell the limit that cut an answer, by what the router knows of its model now."""
    is_cut = ended.finish_reason == "length"
    return cut_by(
        finish_reason=ended.finish_reason,
        asked_most=stream.request.sampling.max_tokens,
        given=stream.completion_tokens,
        model_most=_longest_answer(stream) if is_cut else 0,
    )


def note_of(ticket: VisitorTicket | None) -> str:
    """Return what another process needs to go on keeping an answer."""
    return f"{_APP} {msgspec.json.encode(ticket).decode()}"


def _noted(note: str) -> tuple[bool, VisitorTicket | None]:
    """Read a note; False when it is another app's."""
    app, _, ticket = note.partition(" ")
    if app != _APP:
        return False, None
    return True, msgspec.json.decode(ticket, type=VisitorTicket | None)


async def _row_awaited(stream: JobStream) -> Message | None:
    """Return the message of a job; its question may be about to be stored by who took it."""
    deadline = asyncio.get_running_loop().time() + CONF.stored_within_s
    while True:
        row = await until_answered(lambda: in_own_thread(_running_message, stream.job_id))
        if row is not None or stream.ended or asyncio.get_running_loop().time() > deadline:
            return row
        await asyncio.sleep(CONF.kept_every_s)


def _running_message(job_id: str) -> Message | None:
    running = Message.objects.filter(job_id=job_id, state=Message.State.RUNNING)
    return running.select_related("conversation").first()


def _answer_store(message_id: uuid.UUID, job_id: str, kept: dict[str, Any]) -> None:
    """Write an end down; not over what somebody else has begun in the same message since."""
    Message.objects.filter(pk=message_id, job_id=job_id).update(**kept)


def _longest_answer(stream: JobStream) -> int:
    """Return the most tokens that the model of an answer gives; 0 where that is not known now."""
    model_name = stream.started.model_name if stream.started else ""
    try:
        models = router_view().models
    except RuntimeError:  # the router has stopped here: what has come is kept
        return 0
    return max((one.max_output_tokens for one in models if one.name == model_name), default=0)


def _kept(stream: JobStream, ended: Ended, choice: ModelChoice) -> dict[str, Any]:
    kept: dict[str, Any] = {
        "content": stream.text,
        "state": _state_of(ended),
        "error_code": ended.error.code if ended.error else "",
        "cut_by": cut_of(stream, ended) or "",
    }
    if started := stream.started:
        # Else the answer keeps what an earlier job of it may have noted.
        kept["instance_name"] = started.instance_name
        kept["model_name"] = started.model_name
        kept["model_label"] = choice.label(started.model_name)
        kept["attempts"] = stream.attempt
    return kept


def _state_of(ended: Ended) -> Message.State:
    if ended.error is not None:
        return Message.State.FAILED
    return Message.State.STOPPED if ended.finish_reason == "cancelled" else Message.State.COMPLETE
