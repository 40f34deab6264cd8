"""The gate: whose key a token is, for how long that is believed, and what is written down."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import DatabaseError, connections
from django.utils import timezone

from apps.accounts.keys import gate as gate_module
from apps.accounts.keys import services
from apps.accounts.keys.gate import ApiKeyGate
from apps.accounts.models import ApiKey, KeyUsage, User
from apps.router.ports import CallRecord
from motherfluxer_wire.tokens import make_token, rotate_token

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)


@dataclass
class Lab:
    """A gate whose time stands still until it is moved, and one key."""

    key: ApiKey
    text: str
    now: datetime = NOON
    reads: int = 0
    gate: ApiKeyGate = field(init=False)

    def __post_init__(self) -> None:
        self.gate = self.another_process()

    def another_process(self) -> ApiKeyGate:
        """Return a gate that shares nothing but the database."""
        return ApiKeyGate(clock=self.now_s, now=lambda: self.now)

    def now_s(self) -> float:
        """Tell the time as a monotonic clock does."""
        return self.now.timestamp()

    def pass_s(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)

    async def is_let_in(self) -> bool:
        """Whether the key opens."""
        return await self.gate.identify(self.text) is not None

    def record(self, model: str = "lab/a", prompt: int = 10, completion: int = 3) -> None:
        """Count a request."""
        self.gate.record(
            CallRecord(
                key_id=self.key.token_id,
                user_id=self.key.user_id,
                model_name=model,
                prompt_tokens=prompt,
                completion_tokens=completion,
            )
        )


@pytest.fixture
async def lab(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Lab]:
    user = await User.objects.acreate(email="Reader@Example.org")
    key, text = await sync_to_async(services.api_key_issue)(user=user, name="x")
    made = Lab(key, text)
    find = gate_module._find_key

    def counting(token_id: str) -> ApiKey | None:
        made.reads += 1
        return find(token_id)

    monkeypatch.setattr(gate_module, "_find_key", counting)
    yield made
    await sync_to_async(connections.close_all)()


async def _revoke(key: ApiKey) -> None:
    await sync_to_async(services.api_key_revoke)(user=key.user, key_id=key.pk)


async def _expire(key: ApiKey) -> None:
    await ApiKey.objects.filter(pk=key.pk).aupdate(expires_at=NOON)


async def _lock_the_user(key: ApiKey) -> None:
    await User.objects.filter(pk=key.user_id).aupdate(is_active=False)


async def _leave(key: ApiKey) -> None:
    await User.objects.filter(pk=key.user_id).aupdate(deletion_at=NOON + timedelta(days=9))


ENDINGS = [_revoke, _expire, _lock_the_user, _leave]


async def test_a_caller_is_who_the_key_says(lab: Lab) -> None:
    caller = await lab.gate.identify(lab.text)
    assert caller is not None
    assert (caller.requester, caller.user_id) == (f"user:{lab.key.user_id}", lab.key.user_id)
    assert caller.key_id == lab.key.token_id
    assert (caller.allowed_models, caller.requests_per_minute) == (None, None)
    assert not caller.may_manage


async def test_a_caller_bears_the_scope_of_the_key(lab: Lab) -> None:
    await ApiKey.objects.aupdate(allowed_models=["a", "b"], requests_per_minute=3, may_manage=True)
    caller = await lab.gate.identify(lab.text)
    assert caller is not None
    assert caller.allowed_models == frozenset({"a", "b"})
    assert (caller.requests_per_minute, caller.may_manage) == (3, True)


async def test_a_key_in_use_is_read_once_a_second(lab: Lab) -> None:
    for _ in range(50):
        assert await lab.is_let_in()
    assert lab.reads == 1
    lab.pass_s(1)
    assert await lab.is_let_in()
    assert lab.reads == 2


@pytest.mark.parametrize("end", ENDINGS)
async def test_what_ends_a_key_ends_it_within_a_second(
    lab: Lab, end: Callable[[ApiKey], Awaitable[None]]
) -> None:
    assert await lab.is_let_in()
    await end(lab.key)
    lab.pass_s(1)
    assert not await lab.is_let_in()
    assert not await lab.is_let_in()


async def test_a_key_that_expires_while_it_is_remembered_is_refused_at_that_moment(
    lab: Lab,
) -> None:
    await ApiKey.objects.aupdate(expires_at=NOON + timedelta(seconds=0.1))
    assert await lab.is_let_in()
    lab.pass_s(0.1)
    assert not await lab.is_let_in()


async def test_a_wrong_secret_under_a_remembered_id_is_refused(lab: Lab) -> None:
    assert await lab.is_let_in()
    wrong = rotate_token("mf", lab.key.token_id, secrets.randbelow)
    assert wrong.id == lab.key.token_id
    assert await lab.gate.identify(wrong.text) is None
    assert await lab.gate.identify(lab.text + "x") is None
    assert await lab.gate.identify(lab.text.swapcase()) is None
    assert await lab.is_let_in()


async def test_every_refusal_costs_one_query_whether_the_key_is_remembered_or_not(
    lab: Lab,
) -> None:
    assert await lab.is_let_in()
    rotated = rotate_token("mf", lab.key.token_id, secrets.randbelow).text
    unknown = make_token("mf", secrets.randbelow).text
    for refused in (rotated, unknown, "mf_", "", None, "é\x00"):
        before = lab.reads
        assert await lab.gate.identify(refused) is None
        assert lab.reads == before + 1


async def test_a_rotated_key_opens_with_both_secrets_until_the_grace_is_over(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timezone, "now", lambda: lab.now)
    assert await lab.is_let_in()
    rotate = sync_to_async(services.api_key_rotate)
    _, fresh = await rotate(user=lab.key.user, key_id=lab.key.pk, grace=timedelta(hours=1))
    assert await lab.gate.identify(fresh) is not None  # at once, though the key is remembered
    lab.pass_s(3599)
    assert await lab.is_let_in()
    lab.pass_s(1)
    assert not await lab.is_let_in()
    assert await lab.gate.identify(fresh) is not None
    _, last = await rotate(user=lab.key.user, key_id=lab.key.pk, grace=timedelta(0))
    lab.pass_s(1)
    assert await lab.gate.identify(fresh) is None
    assert await lab.gate.identify(last) is not None


async def test_when_and_where_a_key_was_used_is_written_once_a_minute(lab: Lab) -> None:
    await lab.gate.identify(lab.text, address="2001:db8::1")
    await lab.gate.flush()
    await lab.key.arefresh_from_db()
    assert (lab.key.last_used_at, lab.key.last_used_address) == (NOON, "2001:db8::1")
    lab.pass_s(59)
    await lab.gate.identify(lab.text, address="192.0.2.1")
    await lab.gate.flush()
    await lab.key.arefresh_from_db()
    assert (lab.key.last_used_at, lab.key.last_used_address) == (NOON, "2001:db8::1")
    lab.pass_s(1)
    await lab.gate.identify(lab.text, address="192.0.2.2" + "\x00" * 500)
    await lab.gate.flush()
    await lab.key.arefresh_from_db()
    assert (lab.key.last_used_at, lab.key.last_used_address) == (lab.now, "192.0.2.2")


async def test_a_refused_key_was_not_used(lab: Lab) -> None:
    await _revoke(lab.key)
    assert not await lab.is_let_in()
    await lab.gate.flush()
    await lab.key.arefresh_from_db()
    assert lab.key.last_used_at is None


async def _rows() -> list[tuple[Any, ...]]:
    names = ("day", "model_name", "requests", "prompt_tokens", "completion_tokens")
    return [row async for row in KeyUsage.objects.order_by(*names).values_list(*names)]


async def test_requests_add_up_by_day_and_model(lab: Lab) -> None:
    lab.record()
    lab.record(prompt=5, completion=0)
    lab.record(model="lab/b")
    lab.pass_s(12 * 3600)
    lab.record()
    await lab.gate.flush()
    lab.record(prompt=1, completion=1)
    await lab.gate.flush()
    await lab.gate.flush()
    assert await _rows() == [
        (date(2027, 3, 1), "lab/a", 2, 15, 3),
        (date(2027, 3, 1), "lab/b", 1, 10, 3),
        (date(2027, 3, 2), "lab/a", 2, 11, 4),
    ]


async def test_several_processes_add_to_one_row(lab: Lab) -> None:
    gates = [lab.another_process() for _ in range(4)]
    for gate in gates:
        lab.gate = gate
        for _ in range(25):
            lab.record(prompt=2, completion=1)
    await asyncio.gather(*(gate.flush() for gate in gates))
    assert await _rows() == [(date(2027, 3, 1), "lab/a", 100, 200, 100)]


async def test_two_processes_that_add_to_the_same_rows_in_another_order_do_not_wait_for_each_other(
    lab: Lab,
) -> None:
    models = [f"lab/{number}" for number in range(20)]
    gates = [lab.another_process(), lab.another_process()]
    for _ in range(10):
        for gate, order in zip(gates, (models, models[::-1]), strict=True):
            lab.gate = gate
            for model in order:
                lab.record(model)
        await asyncio.gather(*(gate.flush() for gate in gates))
    assert {row[2] for row in await _rows()} == {20}


async def test_nothing_is_lost_or_doubled_while_the_database_is_away(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_args: object, **_kwargs: object) -> None:
        raise DatabaseError("away")

    assert await lab.is_let_in()
    lab.record()
    with monkeypatch.context() as broken:
        broken.setattr(gate_module, "usage_add", away)
        with pytest.raises(DatabaseError):
            await lab.gate.flush()
        lab.record()
    await lab.gate.flush()
    assert await _rows() == [(date(2027, 3, 1), "lab/a", 2, 20, 6)]
    await lab.key.arefresh_from_db()
    assert lab.key.last_used_at == NOON


async def test_what_a_deleted_key_used_is_dropped_and_keeps_nothing_else_back(lab: Lab) -> None:
    lab.record()
    gone = await User.objects.acreate(email="gone@example.org")
    key, _ = await sync_to_async(services.api_key_issue)(user=gone, name="y")
    kept, lab.key = lab.key, key
    lab.record()
    await gone.adelete()
    await lab.gate.flush()
    assert [row async for row in KeyUsage.objects.values_list("api_key", "requests")] == [
        (kept.pk, 1)
    ]


async def test_absurd_figures_of_an_instance_overflow_nothing(lab: Lab) -> None:
    for _ in range(3):
        lab.record(prompt=2**62, completion=2**62)
        await lab.gate.flush()
    [(_, _, requests, prompt, completion)] = await _rows()
    assert requests == 3
    assert prompt == completion < 2**40
