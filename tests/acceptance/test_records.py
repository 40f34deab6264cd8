"""The records of a real site: verified by anybody, kept over a kill, replayed to the last digit."""

import re
from pathlib import Path

import pytest

from tests.acceptance.chats import StreamedAnswer
from tests.sites import Site, wait_until

SLOW = {"MOTHERFLUXER_ECHO_DELAY_MS": "20"}
WORDS = " ".join(f"word{n}" for n in range(30))


def entries(site: Site) -> list[bytes]:
    """Return the lines of the public log."""
    return site.get("/transparency/log.jsonl").body.splitlines(keepends=True)


def event_files(site: Site) -> list[str]:
    """Return the paths of the recorded events."""
    return sorted(str(path) for path in (site.folder / "events").glob("*.jsonl"))


def events_of(site: Site) -> str:
    """Return all that was recorded of events."""
    return "".join(Path(path).read_text() for path in event_files(site))


def test_log_and_events_tell_of_each_answer_also_after_a_kill(site: Site, tmp_path: Path) -> None:
    key = site.api_key("secret.reader@example.org")
    first = site.start_instance(name="one", env=SLOW).wait_connected()
    second = site.start_instance(name="two", env=SLOW).wait_connected()
    answers = [StreamedAnswer(site, key, WORDS, model="echo") for _ in range(3)]
    assert answers[0].read(5, first.kill9) == WORDS
    assert [answer.read() for answer in answers[1:]] == [WORDS, WORDS]
    wait_until(lambda: len(entries(site)) >= 8, "decisions and ends written")
    url = answers[0].response.getheader("x-motherfluxer-decision") or ""
    job_id = url.rpartition("/")[2]
    assert site.program is not None
    wait_until(lambda: events_of(site).count('"AttemptDone"') == 3, "events written")
    site.program.kill9()
    site.start()
    second.wait_connected()

    told = site.get(f"/transparency/decisions/{job_id}.json").json()["attempts"]
    assert told[-1]["ended"]["outcome"] == "done"
    log = tmp_path / "log.jsonl"
    log.write_bytes(site.get("/transparency/log.jsonl").body)
    assert "verified, 1 to" in site.manage("verify_log")
    assert (
        site.manage("verify_log").splitlines()[-1]
        == site.manage("verify_log", str(log)).splitlines()[-1]
    )
    reproduced = site.manage("replay", event_files(site)[0])
    made = re.search(r"(\d+) of (\d+) decisions reproduced", reproduced)
    assert made
    assert made[1] == made[2]
    assert int(made[1]) >= 3

    everything = log.read_text() + events_of(site)
    assert "word7" not in everything
    assert "user:" not in everything
    assert "secret.reader" not in everything


def test_one_changed_byte_of_the_public_log_is_named(shared_site: Site, tmp_path: Path) -> None:
    site, key = shared_site, shared_site.api_key("bytes@example.org")
    instance = site.start_instance(name="bytes").wait_connected()
    for number in range(3):
        assert StreamedAnswer(site, key, f"question {number}", model="echo").read()
    wait_until(lambda: len(entries(site)) >= 6, "decisions and ends written")
    instance.kill9()
    lines = entries(site)
    log = tmp_path / "log.jsonl"
    for place in (10, len(lines[2]) // 2, len(lines[2]) - 10):
        line = bytearray(lines[2])
        line[place] ^= 1
        log.write_bytes(b"".join([*lines[:2], bytes(line), *lines[3:]]))
        with pytest.raises(AssertionError, match=r"Entry 3 .*is changed"):
            site.manage("verify_log", str(log))
