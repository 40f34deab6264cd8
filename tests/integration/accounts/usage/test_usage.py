"""What keys used: the page, the CSV, and how long it is kept."""

import csv
import io
import re
from collections.abc import AsyncIterator
from datetime import UTC, date, timedelta
from typing import Any, cast

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connections
from django.utils import timezone

from apps.accounts.keys import services as keys
from apps.accounts.models import ApiKey, KeyUsage, User
from apps.accounts.tasks import remove_old_usage
from apps.accounts.usage import selectors, services
from apps.accounts.usage.buffer import UsageRow
from motherfluxer.asgi import django_application
from tests.clients import SiteClient


def used(
    key: ApiKey, day: date, model: str = "lab/a", prompt: int = 1000, answer: int = 234
) -> None:
    """Have a key use something."""
    row = UsageRow(
        key_id=key.token_id,
        day=day,
        model_name=model,
        requests=1,
        prompt_tokens=prompt,
        completion_tokens=answer,
    )
    services.usage_add(rows=[row])


def today() -> date:
    return timezone.now().astimezone(UTC).date()


@pytest.fixture
def key(user: User) -> ApiKey:
    return keys.api_key_issue(user=user, name="laptop")[0]


def cells(body: str) -> list[list[str]]:
    """Return the page's table, row by row."""
    rows = re.findall(r"<tr><th scope=\"row\">.*?</tr>", body)
    return [re.findall(r">([^<>]+)</t[hd]>", row) for row in rows]


@pytest.mark.django_db
def test_the_page_shows_each_day_and_model_and_the_sums(
    old_browser: SiteClient, key: ApiKey
) -> None:
    used(key, today())
    used(key, today())
    used(key, today(), "lab/b", prompt=5, answer=0)
    used(key, today() - timedelta(days=29), prompt=1, answer=1)
    used(key, today() - timedelta(days=30), prompt=77, answer=77)
    body = old_browser.get("/usage/").content.decode()
    day, first = today().isoformat(), (today() - timedelta(days=29)).isoformat()
    assert cells(body) == [
        [day, "lab/b", "1", "5", "0"],
        [day, "lab/a", "2", "2,000", "468"],
        [first, "lab/a", "1", "1", "1"],
    ]
    assert re.findall(r"<dd>([\d,]+)</dd>", body) == ["4", "2,475", "2,006", "469"]
    assert f"<title>{day}, lab/a: 2,468 tokens</title>" in body
    assert body.count("<rect class") == 3 + 2  # the bars and the legend
    assert "style=" not in body  # the policy would not apply it


@pytest.mark.django_db
@pytest.mark.parametrize(("asked", "shown"), [("7", 1), ("90", 3), ("", 2), ("1e9", 2), ("-1", 2)])
def test_a_reader_chooses_how_many_days(
    old_browser: SiteClient, key: ApiKey, asked: str, shown: int
) -> None:
    for ago in (6, 7, 89, 90):
        used(key, today() - timedelta(days=ago))
    assert len(cells(old_browser.get(f"/usage/?days={asked}").content.decode())) == shown


@pytest.mark.django_db
def test_a_reader_chooses_one_key_a_revoked_one_too(
    old_browser: SiteClient, key: ApiKey, user: User
) -> None:
    other, _ = keys.api_key_issue(user=user, name="phone")
    used(key, today(), "lab/a")
    used(other, today(), "lab/b")
    keys.api_key_revoke(user=user, key_id=other.pk)
    both = old_browser.get("/usage/").content.decode()
    assert [row[1] for row in cells(both)] == ["lab/b", "lab/a"]
    assert "(revoked)" in both
    one = old_browser.get(f"/usage/?key={other.pk}").content.decode()
    assert [row[1] for row in cells(one)] == ["lab/b"]
    assert f"usage.csv?key={other.pk}" in one
    assert old_browser.get("/usage/?key=x").status_code == 404


@pytest.mark.django_db
def test_a_page_without_usage_says_so(old_browser: SiteClient) -> None:
    body = old_browser.get("/usage/").content.decode()
    assert "used nothing in the last 30 days" in body
    assert "/keys/new/" in body
    assert "<svg" not in body.partition("<main")[2]


@pytest.mark.django_db
def test_nobody_sees_what_others_used(old_browser: SiteClient, key: ApiKey) -> None:
    stranger = User.objects.create_user("other@example.org")
    used(keys.api_key_issue(user=stranger, name="y")[0], today(), "lab/theirs")
    assert "lab/theirs" not in old_browser.get("/usage/").content.decode()
    assert selectors.usage_rows(user_id=key.user_id, count=9) == []


@pytest.mark.django_db
def test_days_past_their_time_are_removed(key: ApiKey) -> None:
    for ago in (0, 400, 401):
        used(key, today() - timedelta(days=ago))
    remove_old_usage()
    kept = [today() - timedelta(days=400), today()]
    assert list(KeyUsage.objects.values_list("day", flat=True)) == kept
    services.usage_remove_old(now=timezone.now() + timedelta(days=1))
    assert list(KeyUsage.objects.values_list("day", flat=True)) == kept[1:]


@pytest.mark.django_db
def test_a_key_that_ended_goes_when_its_last_figures_have_gone(key: ApiKey, user: User) -> None:
    long_ago = timezone.now() - timedelta(days=401)
    expired, _ = keys.api_key_issue(user=user, name="expired")
    revoked, _ = keys.api_key_issue(user=user, name="revoked")
    ApiKey.objects.filter(pk=expired.pk).update(expires_at=long_ago)
    ApiKey.objects.filter(pk=revoked.pk).update(revoked_at=long_ago)
    used(revoked, today() - timedelta(days=400))
    remove_old_usage()
    assert set(ApiKey.objects.values_list("name", flat=True)) == {"laptop", "revoked"}
    KeyUsage.objects.update(day=today() - timedelta(days=401))
    remove_old_usage()
    assert set(ApiKey.objects.values_list("name", flat=True)) == {"laptop"}


@pytest.fixture
async def reader(transactional_db: None) -> AsyncIterator[User]:
    yield await sync_to_async(User.objects.create_user)("reader@example.org", "x")
    await sync_to_async(connections.close_all)()


async def download(user: User, query: str = "") -> list[list[str]]:
    """Read the CSV as a browser of that user does."""
    signed_in = SiteClient("user")
    await sync_to_async(signed_in.force_login)(user)
    cookies = {name: morsel.value for name, morsel in signed_in.cookies.items()}
    transport = httpx.ASGITransport(app=cast(Any, django_application))
    base_url = f"http://user.{settings.MOTHERFLUXER_DOMAIN}"
    async with httpx.AsyncClient(transport=transport, base_url=base_url, cookies=cookies) as client:
        response = await client.get(f"/usage/usage.csv{query}")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Content-Disposition"].startswith("attachment")
    assert "no-store" in response.headers["Cache-Control"]
    return list(csv.reader(io.StringIO(response.text, newline="")))


async def test_the_csv_holds_every_day_in_order(
    reader: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.accounts.usage.views._ROWS_AT_ONCE", 2)
    key, _ = await sync_to_async(keys.api_key_issue)(user=reader, name="laptop")
    other, _ = await sync_to_async(keys.api_key_issue)(user=reader, name="phone")
    days = [date(2027, 3, day) for day in (5, 1, 4, 2, 3)]
    for day in days:
        await sync_to_async(used)(key, day)
    await sync_to_async(used)(other, days[0], "lab/b", 7, 8)
    head, *rows = await download(reader)
    assert head == [
        *("day", "key", "key_prefix", "model"),
        *("requests", "prompt_tokens", "completion_tokens"),
    ]
    assert [row[0] for row in rows] == [f"2027-03-0{day}" for day in (1, 2, 3, 4, 5, 5)]
    assert rows[0] == ["2027-03-01", "laptop", key.prefix, "lab/a", "1", "1000", "234"]
    assert await download(reader, f"?key={other.pk}") == [
        head,
        ["2027-03-05", "phone", other.prefix, "lab/b", "1", "7", "8"],
    ]


async def test_a_name_in_the_csv_is_no_formula(reader: User) -> None:
    name = '=cmd|"/c calc"!A1'
    key, _ = await sync_to_async(keys.api_key_issue)(user=reader, name=name)
    await sync_to_async(used)(key, date(2027, 3, 1))
    [_, row] = await download(reader)
    assert row[1] == f"'{name}"
