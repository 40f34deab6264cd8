"""The chat's pages, and what their forms and scripts send."""

import asyncio
import uuid
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from asgiref.sync import sync_to_async
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from apps.chat import pages, selectors, services
from apps.chat.allowances import allowance_data, allowance_of
from apps.chat.askers import Asker
from apps.chat.conf import CONF
from apps.chat.models import Conversation, Message
from apps.chat.running import RunningAnswer
from apps.chat.selectors import BrokenAnswer
from apps.chat.visits import asker_of, is_users_site, visitor_named, visitor_remember
from apps.chat.words import Words, error_words, not_continued_words
from apps.router import ports
from apps.router.errors import ErrorCode, JobRefusedError

_P = ParamSpec("_P")


def for_asker(
    view: Callable[Concatenate[HttpRequest, Asker, _P], Coroutine[Any, Any, HttpResponse]],
) -> Callable[..., Coroutine[Any, Any, HttpResponse]]:
    """Give a view whoever asks; send a reader whom nobody lets in to the sign-in page."""

    @wraps(view)
    async def call(request: HttpRequest, *args: _P.args, **kwargs: _P.kwargs) -> HttpResponse:
        asker = await asker_of(request)
        return _sign_in(request) if asker is None else await view(request, asker, *args, **kwargs)

    return call


@never_cache
@require_safe
@for_asker
async def home(request: HttpRequest, asker: Asker) -> HttpResponse:
    """Show a new chat."""
    return render(request, "chat/chat.html", await pages.chat_page(request, asker))


@never_cache
@require_safe
@for_asker
async def conversation(
    request: HttpRequest, asker: Asker, conversation_id: uuid.UUID
) -> HttpResponse:
    """Show a conversation to whoever it belongs to."""
    found = await _conversation_or_404(conversation_id, asker)
    context = await pages.chat_page(request, asker, conversation=found)
    context["draft"] = found.draft
    return render(request, "chat/chat.html", context)


@never_cache
@require_POST
@for_asker
async def ask(request: HttpRequest, reader: Asker) -> HttpResponse:
    """Take a question. Scripts get the answer's stream at once, a plain form waits for it."""
    asker = visitor_named(reader)
    found = await _asked_conversation(request, asker)
    try:
        answer = await services.message_ask(
            asker=asker,
            conversation_id=found.pk if found else None,
            text=_typed(request),
            proof=request.POST.get("proof", ""),
        )
    except JobRefusedError as refused:
        response = await _refused(request, asker, found, refused)
    else:
        response = await _asked(request, asker, answer)
    if asker is not reader:
        visitor_remember(response, asker)
    return response


@never_cache
@require_POST
@for_asker
async def continue_answer(request: HttpRequest, asker: Asker) -> HttpResponse:
    """Have a broken-off answer of the reader's continued."""
    message_id = _uuid_or_404(request.POST.get("answer", ""))
    broken = await _broken_or_404(message_id, asker)
    try:
        proof = request.POST.get("proof", "")
        answer = await services.message_continue(asker=asker, broken=broken, proof=proof)
    except JobRefusedError as refused:
        found = await _conversation_or_404(broken.conversation_id, asker)
        return await _refused(request, asker, found, refused, say=not_continued_words)
    return await _asked(request, asker, answer)


@never_cache
@require_POST
@for_asker
async def stop(request: HttpRequest, asker: Asker) -> HttpResponse:
    """Stop an answer of the reader's; one that has ended is left as it is."""
    message_id = _uuid_or_404(request.POST.get("answer", ""))
    find = sync_to_async(selectors.answer_find)
    answer = await find(message_id=message_id, asker=asker)
    if answer is None or (await selectors.turn_now(answer)).state != Message.State.RUNNING:
        raise Http404
    await services.message_stop(answer=answer)
    if _wants_json(request):
        return JsonResponse({"stopped": str(message_id)})
    return HttpResponseRedirect(reverse("chat:conversation", args=[answer.conversation_id]))


@never_cache
@require_POST
@for_asker
async def conversation_delete(
    request: HttpRequest, asker: Asker, conversation_id: uuid.UUID
) -> HttpResponse:
    """Delete a conversation of the reader's."""
    found = await _conversation_or_404(conversation_id, asker)
    await services.conversation_delete(conversation_id=found.pk)
    return HttpResponseRedirect(reverse("chat:history" if is_users_site(request) else "chat:home"))


@never_cache
@require_safe
@for_asker
async def history(request: HttpRequest, asker: Asker) -> HttpResponse:
    """List a registered user's conversations."""
    if asker.user_id is None:
        raise Http404
    context = await pages.history_page(asker.user_id)
    return render(request, "chat/history.html", context)


def _wants_json(request: HttpRequest) -> bool:
    return "application/json" in request.headers.get("Accept", "")


def _sign_in(request: HttpRequest) -> HttpResponse:
    """Send the reader to the sign-in page, and back to the page that they were on."""
    if not is_users_site(request):
        raise Http404  # nobody lets visitors in here
    back = request.get_full_path() if request.method in {"GET", "HEAD"} else reverse("chat:home")
    answer = redirect_to_login(back)
    return JsonResponse({"sign_in_url": answer.url}, status=401) if _wants_json(request) else answer


def _uuid_or_404(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise Http404 from error


async def _conversation_or_404(conversation_id: uuid.UUID, asker: Asker) -> Conversation:
    find = sync_to_async(selectors.conversation_find)
    found = await find(conversation_id=conversation_id, asker=asker)
    if found is None:
        raise Http404
    return found


async def _broken_or_404(message_id: uuid.UUID, asker: Asker) -> BrokenAnswer:
    """Return an answer of this asker's that may be continued."""
    find = sync_to_async(selectors.answer_find)
    row = await find(message_id=message_id, asker=asker)
    if row is None or not (await selectors.turn_now(row)).can_continue:
        raise Http404
    broken = await sync_to_async(selectors.broken_answer_of)(row)
    if broken is None:
        raise Http404
    return broken


def _typed(request: HttpRequest) -> str:
    """Return the question: an example's button sends its own beside the empty text area."""
    return next((text for text in request.POST.getlist("text") if text.strip()), "")


async def _asked_conversation(request: HttpRequest, asker: Asker) -> Conversation | None:
    text = request.POST.get("conversation", "")
    return await _conversation_or_404(_uuid_or_404(text), asker) if text else None


async def _asked(request: HttpRequest, asker: Asker, answer: RunningAnswer) -> HttpResponse:
    url = reverse("chat:conversation", args=[answer.conversation_id])
    if not _wants_json(request):
        await asyncio.wait({answer.kept}, timeout=CONF.whole_answer_wait_s)
        return HttpResponseRedirect(url)
    return JsonResponse(
        {
            "conversation_id": str(answer.conversation_id),
            "conversation_url": url,
            "title": services.title_of(_typed(request)),
            "answer_id": str(answer.message_id),
            "stream_url": pages.stream_url(answer.message_id),
            "offset": len(answer.stream.request.beginning),
            "job_id": answer.stream.job_id,
            "allowance": allowance_data(await allowance_of(asker)),
        },
        status=201,
    )


async def _refused(
    request: HttpRequest,
    asker: Asker,
    found: Conversation | None,
    refused: JobRefusedError,
    *,
    say: Callable[..., Words] = error_words,
) -> HttpResponse:
    allowance = await allowance_of(asker)
    if refused.error.code is ErrorCode.DEMO_LIMIT_REACHED:
        await sync_to_async(services.draft_keep)(
            asker=asker, conversation_id=found.pk if found else None, text=_typed(request)
        )
    words = say(refused.error.code, refused.error.message, allowance=allowance)
    if _wants_json(request):
        data = {"error": words.as_data(), "allowance": allowance_data(allowance)}
        if refused.error.code is ErrorCode.PROOF_NEEDED:
            data["challenge"] = ports.visitor_gate.get().challenge()
        response: HttpResponse = JsonResponse(data, status=refused.error.code.http_status)
    else:
        response = await _refused_page(request, asker, found, words, refused.error.code)
    if refused.error.retry_after_s is not None:
        response["Retry-After"] = str(refused.error.retry_after_s)
    return response


async def _refused_page(
    request: HttpRequest,
    asker: Asker,
    found: Conversation | None,
    words: Words,
    code: ErrorCode,
) -> HttpResponse:
    """Show the page again with the typed text kept and what to do about it."""
    context: dict[str, Any] = await pages.chat_page(request, asker, conversation=found)
    context |= {"error": words, "draft": _typed(request)}
    return render(request, "chat/chat.html", context, status=code.http_status)
