"""Conversations under `/api/`: one's own, listed, read, renamed, deleted."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.accounts.models import User
from apps.chat.models import Conversation, Message
from tests.integration.rest.conftest import Asker, key_of, make_user

pytestmark = pytest.mark.django_db(transaction=True)


def conversation(owner: User | None, title: str = "First", *texts: str) -> Conversation:
    visitor = "" if owner else "somebody"
    made = Conversation.objects.create(owner=owner, visitor_key=visitor, title=title)
    for number, text in enumerate(texts):
        role = Message.Role.ASSISTANT if number % 2 else Message.Role.USER
        Message.objects.create(conversation=made, number=number, role=role, content=text)
    return made


def test_a_conversation_is_shown_whole(ask: Asker, reader: User) -> None:
    made = conversation(reader, "Hello", "What is it?", "It is a test.")
    found = ask("GET", f"conversations/{made.pk}/").json()
    assert (found["id"], found["title"]) == (str(made.pk), "Hello")
    told = [(one["role"], one["text"], one["state"]) for one in found["messages"]]
    assert told == [("user", "What is it?", "complete"), ("assistant", "It is a test.", "complete")]


def test_a_cut_answer_says_at_which_limit(ask: Asker, reader: User) -> None:
    made = conversation(reader, "Hello", "Count.", "One, two")
    made.messages.filter(number=1).update(cut_by="model")
    told = [one["cut_by"] for one in ask("GET", f"conversations/{made.pk}/").json()["messages"]]
    assert told == ["", "model"]


def test_the_list_comes_newest_first_in_pages(ask: Asker, reader: User) -> None:
    ids = [str(conversation(reader, f"No. {n}").pk) for n in range(3)]
    first = ask("GET", "conversations/?page_size=2").json()
    assert (first["count"], [one["id"] for one in first["results"]]) == (3, [ids[2], ids[1]])
    assert "messages" not in first["results"][0]
    rest = ask("GET", first["next"].partition("/api/")[2]).json()
    assert ([one["id"] for one in rest["results"]], rest["next"]) == ([ids[0]], None)
    oldest = ask("GET", "conversations/?ordering=created").json()
    assert [one["id"] for one in oldest["results"]] == ids


def test_the_list_is_filtered_by_time(ask: Asker, reader: User) -> None:
    old, new = conversation(reader), conversation(reader)
    yesterday = timezone.now() - timedelta(days=1)
    Conversation.objects.filter(pk=old.pk).update(created=yesterday)
    moment = (yesterday + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for field, expected in (("created_after", new), ("created_before", old)):
        found = ask("GET", f"conversations/?{field}={moment}").json()["results"]
        assert [one["id"] for one in found] == [str(expected.pk)]


def test_others_conversations_are_not_there(ask: Asker) -> None:
    for made in (conversation(make_user("other@example.org")), conversation(None)):
        for method in ("GET", "PATCH", "DELETE"):
            reply = ask(method, f"conversations/{made.pk}/", {"title": "mine"})
            assert (reply.status, reply.problem["code"]) == (404, "not_found")
        assert Conversation.objects.get(pk=made.pk).title == "First"
    assert ask("GET", "conversations/").json()["count"] == 0


def test_a_conversation_is_renamed(ask: Asker, reader: User) -> None:
    made = conversation(reader)
    reply = ask("PATCH", f"conversations/{made.pk}/", {"title": " Two\n lines ", "id": "x"})
    assert (reply.status, reply.json()["title"]) == (200, "Two lines")
    kept = Conversation.objects.get(pk=made.pk)
    assert (kept.title, kept.updated) == ("Two lines", made.updated)
    for wrong in ("", "x" * 61, None, 7, "a\0b", {"a": 1}):
        problem = ask("PATCH", f"conversations/{made.pk}/", {"title": wrong}).problem
        assert (problem["code"], problem["errors"][0]["field"]) == ("invalid_request", "title")
    assert Conversation.objects.get(pk=made.pk).title == "Two lines"


def test_a_conversation_is_deleted_with_its_messages(ask: Asker, reader: User) -> None:
    made, kept = conversation(reader, "x", "a", "b"), conversation(reader, "y", "c")
    assert ask("DELETE", f"conversations/{made.pk}/").status == 204
    assert ask("DELETE", f"conversations/{made.pk}/").status == 404
    assert [one.conversation_id for one in Message.objects.all()] == [kept.pk]


def test_an_unknown_conversation_is_not_there(ask: Asker, reader: User) -> None:
    assert ask("GET", f"conversations/{uuid.uuid4()}/").status == 404
    assert Asker(key_of(reader))("PUT", f"conversations/{uuid.uuid4()}/", {}).status == 405
