"""Processes of two versions understand each other as far as they can."""

import msgspec
import pytest

from apps.router.apart.letter_codec import (
    BETWEEN,
    EFFECTS,
    TOLD,
    AnyEffect,
    AnyTold,
    encode_letter,
)
from apps.router.apart.numbering import batch_payload
from apps.router.core import effects, events, letters


def test_every_kind_of_letter_has_its_place() -> None:
    told = {*events.Event.__subclasses__(), *letters.Letter.__subclasses__()}
    assert set(AnyTold.__args__) == told
    own = {effects.RecordDecision, effects.RecordAttemptEnd}
    assert set(AnyEffect.__args__) == set(effects.Effect.__subclasses__()) - own
    assert set(letters.AnyBetween.__args__) == set(letters.Between.__subclasses__())


def test_what_another_version_says_is_left_out_and_the_rest_is_read(
    caplog: pytest.LogCaptureFixture,
) -> None:
    known = effects.RequeueJob("j1")
    new_kind = msgspec.msgpack.encode({"type": "FoldJob", "job_id": "j1"})
    new_field = msgspec.msgpack.encode({"type": "RequeueJob", "job_id": "j2", "why": "new"})
    payload = batch_payload([encode_letter(known), new_kind, new_field])
    assert EFFECTS.decode(payload) == [known, None, effects.RequeueJob("j2")]
    assert "not understood" in caplog.text


def test_rubbish_is_no_letter() -> None:
    assert TOLD.decode(b"\xc1") == []
    assert BETWEEN.decode(b"") == []
