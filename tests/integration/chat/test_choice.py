"""The catalog's word in the chat: which name is asked for, and what readers see."""

import uuid

import pytest
from django.test import AsyncClient

from apps.chat.models import Message
from apps.chat.running import running_find
from apps.router import ports
from apps.router.core.events import ModelsKnown
from apps.router.live.runtime import LiveRouter
from apps.router.ports import AliasEntry, AliasTargetEntry, CatalogNames, CatalogRouting
from tests.integration.chat.conftest import JSON, Answering
from tests.integration.chat.test_streams import Reader

pytestmark = pytest.mark.django_db(transaction=True)


class HelperCatalog:
    """Has one alias, the default, which leads to the model `tiny`."""

    async def routing(self) -> CatalogRouting:
        target = AliasTargetEntry(model_name="tiny", weight=1)
        return CatalogRouting(aliases=(AliasEntry(name="chat", targets=(target,)),))

    async def names(self) -> CatalogNames:
        shown = {"chat": "Helper", "tiny": "Tiny"}
        return CatalogNames(routing=await self.routing(), default="chat", display_names=shown)


@pytest.fixture
def helper(router: LiveRouter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports.model_catalog, "_object", HelperCatalog())
    router.bus.publish(ModelsKnown(("chat", "tiny")))


@pytest.mark.usefixtures("helper")
async def test_readers_see_the_name_of_the_default_alias_and_of_the_model(
    visitor: AsyncClient, answering: Answering
) -> None:
    asked = await visitor.post("/chat/ask", {"text": "Hello?"}, headers=JSON)
    told = asked.json()
    stream = await answering.next_job()
    assert stream.request.model_name == "chat"
    answering.start(stream)
    live = Reader(visitor, told["stream_url"])
    await live.until("started")
    running = (await visitor.get(told["conversation_url"])).content.decode()
    assert "Helper (Tiny)" in running
    answer = running_find(message_id=uuid.UUID(told["answer_id"]))
    assert answer is not None
    answering.finish(stream)
    await live.task
    assert [data["model"] for name, data in live.events if name in {"started", "end"}] == [
        "Helper (Tiny)",
        "Helper (Tiny)",
    ]
    await answer.kept
    message = await Message.objects.aget(pk=told["answer_id"])
    assert (message.model_name, message.model_label) == ("tiny", "Helper (Tiny)")
    shown = (await visitor.get(told["conversation_url"])).content.decode()
    assert "Helper (Tiny)" in shown
    again = Reader(visitor, told["stream_url"])
    await again.task
    assert dict(again.events)["end"]["model"] == "Helper (Tiny)"
