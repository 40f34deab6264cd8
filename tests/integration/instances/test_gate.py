"""The gate for instances, against a real database and from the event loop."""

from datetime import timedelta

import msgspec
import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.utils import timezone

from apps.instances import selectors, services
from apps.instances.conf import CONF
from apps.instances.gate import CredentialGate
from apps.instances.models import Credential, KnownInstance
from apps.router.ports import Admission, LinkRefusal
from motherfluxer_wire.frames import Hello, Model
from motherfluxer_wire.tokens import make_token

pytestmark = pytest.mark.django_db(transaction=True)

ADDRESS = "192.0.2.7"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gate(clock: Clock) -> CredentialGate:
    return CredentialGate(clock)


@pytest.fixture
def operator_id() -> int:
    user = get_user_model().objects.create_user("op@example.org")
    user.groups.add(Group.objects.get_or_create(name="operators")[0])
    return user.pk


@pytest.fixture
def issued(operator_id: int) -> tuple[Credential, str]:
    return services.credential_issue(operator_id=operator_id, name="gpu-1")


async def _refusal(gate: CredentialGate, text: str | None) -> LinkRefusal:
    result = await gate.admit(credential=text, address=ADDRESS)
    assert isinstance(result, LinkRefusal)
    return result


async def _admission(gate: CredentialGate, text: str) -> Admission:
    result = await gate.admit(credential=text, address=ADDRESS)
    assert isinstance(result, Admission)
    return result


async def test_a_valid_credential_is_admitted_and_its_use_noted(
    gate: CredentialGate, issued: tuple[Credential, str]
) -> None:
    credential, text = issued
    admission = await _admission(gate, text)
    assert admission == Admission(
        credential_id=credential.token_id,
        credential_name="gpu-1",
        operator_email="op@example.org",
    )
    await credential.arefresh_from_db()
    assert credential.last_used_at is not None
    assert credential.last_used_address == ADDRESS


def _revoke(credential: Credential) -> None:
    services.credential_revoke(credential_id=credential.pk)


def _expire(credential: Credential) -> None:
    Credential.objects.filter(pk=credential.pk).update(expires_at=timezone.now())


def _leave(credential: Credential) -> None:
    credential.operator.groups.clear()


def _deactivate(credential: Credential) -> None:
    get_user_model().objects.filter(pk=credential.operator_id).update(is_active=False)


@pytest.mark.parametrize("end", [_revoke, _expire, _leave, _deactivate])
async def test_an_ended_credential_is_refused_and_named_as_ended(
    gate: CredentialGate, issued: tuple[Credential, str], end: object
) -> None:
    credential, text = issued
    ids = frozenset([credential.token_id])
    await _admission(gate, text)
    assert await gate.ended_credentials(ids) == frozenset()
    assert callable(end)
    await sync_to_async(end)(credential)
    assert (await _refusal(gate, text)).status == 401
    assert await gate.ended_credentials(ids) == ids


async def test_every_invalid_credential_gets_one_and_the_same_answer(
    gate: CredentialGate, issued: tuple[Credential, str]
) -> None:
    credential, text = issued
    unknown = make_token("mfi", lambda _: 1).text
    other_secret = make_token("mfi", lambda _: 2).text
    await Credential.objects.filter(pk=credential.pk).aupdate(token_id=other_secret[4:16])
    for wrong in [None, "", "garbage", "é\x00", unknown, other_secret, "x" * 100_000, text]:
        refusal = await _refusal(CredentialGate(), wrong)
        assert refusal == await _refusal(CredentialGate(), "mfi_")
        assert (refusal.status, refusal.code) == (401, "invalid_credential")


async def test_whoever_fails_often_waits_longer_but_a_right_credential_gets_in(
    gate: CredentialGate, issued: tuple[Credential, str], clock: Clock
) -> None:
    _, text = issued
    answers = []
    for _ in range(12):
        answers.append(await _refusal(gate, "wrong"))
        await _admission(gate, text)
    assert [a.status for a in answers] == [401] * 9 + [429] * 3
    assert [a.retry_after_s for a in answers[9:]] == [1, 2, 4]
    clock.now += 3600
    assert (await _refusal(gate, "wrong")).status == 401


def _hello(name: str = "box", model: str = "tiny") -> Hello:
    served = Model(name=model, context_tokens=512, max_output_tokens=128)
    return Hello(agent="test/1", instance=name, models=[served], slots=4, hardware={"cpu": "x"})


async def test_joining_and_leaving_is_recorded(
    gate: CredentialGate, issued: tuple[Credential, str]
) -> None:
    admission = await _admission(gate, issued[1])
    assert await gate.known_models() == frozenset()
    await gate.instance_joined(admission, _hello())
    record = await KnownInstance.objects.aget()
    assert (record.name, record.agent, record.slots) == ("box", "test/1", 4)
    assert record.served_models == [msgspec.to_builtins(_hello().models[0])]
    assert selectors.is_recorded_connected(record)
    await gate.instance_joined(admission, _hello(model="phi-2"))
    await gate.instance_left(admission, "box")
    await record.arefresh_from_db()
    assert not selectors.is_recorded_connected(record)
    assert await gate.known_models() == frozenset(["phi-2"])


async def test_a_record_is_right_again_where_an_older_link_ends_later_at_another_process(
    gate: CredentialGate, issued: tuple[Credential, str], clock: Clock
) -> None:
    older = CredentialGate()
    admission = await _admission(gate, issued[1])
    await older.instance_joined(admission, _hello())
    await gate.instance_joined(admission, _hello())
    await older.instance_left(admission, "box")
    clock.now += 60
    await gate.ended_credentials(frozenset([admission.credential_id]))
    assert selectors.is_recorded_connected(await KnownInstance.objects.aget())


async def test_a_record_goes_stale_unless_the_site_keeps_it_fresh(
    gate: CredentialGate, issued: tuple[Credential, str], clock: Clock
) -> None:
    admission = await _admission(gate, issued[1])
    await gate.instance_joined(admission, _hello())
    long_ago = timezone.now() - timedelta(hours=1)
    await KnownInstance.objects.aupdate(last_seen=long_ago)
    record = await KnownInstance.objects.aget()
    assert not selectors.is_recorded_connected(record)
    clock.now += 60
    await gate.ended_credentials(frozenset([admission.credential_id]))
    await record.arefresh_from_db()
    assert selectors.is_recorded_connected(record)


async def test_endless_names_push_out_the_oldest_records_that_are_not_connected(
    gate: CredentialGate, issued: tuple[Credential, str]
) -> None:
    admission = await _admission(gate, issued[1])
    await gate.instance_joined(admission, _hello(name="connected"))
    rows = [
        KnownInstance(
            credential=issued[0],
            name=f"n{number}",
            slots=1,
            is_connected=number % 2 == 0,  # as a site that was killed leaves them
            last_seen=timezone.now() - timedelta(days=1) + timedelta(seconds=number),
        )
        for number in range(CONF.known_most_count + 100)
    ]
    await KnownInstance.objects.abulk_create(rows)
    await gate.instance_joined(admission, _hello(name="newest"))
    left = {record.name async for record in KnownInstance.objects.all()}
    assert len(left) == CONF.known_most_count
    assert {"connected", "newest", rows[-1].name} <= left
    assert rows[0].name not in left
    await gate.instance_joined(admission, _hello(name="newest"))
    assert await KnownInstance.objects.acount() == CONF.known_most_count
