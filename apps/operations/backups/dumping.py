"""What a database gives to be kept, and how it takes it back: PostgreSQL and SQLite. Blocking."""

import contextlib
import os
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Final

from django.db import connection

from apps.operations.backups.errors import DumpError

_READ_BYTES: Final = 1 << 20
_LOCK_WAIT: Final = "-c lock_timeout=30s"
_SAID_CHARS: Final = 2000
_ENVIRONMENT: Final = {"HOST": "PGHOST", "PORT": "PGPORT", "USER": "PGUSER", "NAME": "PGDATABASE"}
_OPTIONS: Final = {"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT"}


def database_dump() -> Iterator[bytes]:
    """Yield the whole database as of one moment, while others go on writing. Raises DumpError."""
    if connection.vendor == "sqlite":
        yield from _sqlite_dump()
    else:
        command = ["pg_dump", "--format=custom", "--no-owner", "--no-privileges"]
        with _program(command, stdout=subprocess.PIPE) as dumping:
            yield from _read_all(_pipe(dumping.stdout))


def database_restore(content: Iterable[bytes]) -> None:
    """Put what was dumped in place of everything that is there, or change nothing.

    Raises DumpError.
    """
    if connection.vendor == "sqlite":
        _sqlite_restore(content)
    else:
        _postgres_restore(content)


def database_is_empty() -> bool:
    """Whether it holds no table."""
    with connection.cursor() as cursor:
        return not connection.introspection.table_names(cursor)


def _postgres_restore(content: Iterable[bytes]) -> None:
    """Let pg_restore write for psql, all in one transaction.

    Its end is ours to write, and only after all of it has come: psql would else take what a
    pg_restore that died had written for the whole.
    """
    connection.close()
    to_sql = ["pg_restore", "--no-owner", "--no-privileges", "--exit-on-error", "--file=-"]
    run = ["psql", "--no-psqlrc", "--quiet", "--output", os.devnull, "--set", "ON_ERROR_STOP=1"]
    with _program(run, stdin=subprocess.PIPE) as running:
        statements = _pipe(running.stdin)
        statements.write(b"BEGIN; DROP SCHEMA public CASCADE; CREATE SCHEMA public;\n")
        statements.flush()
        try:
            with (
                _program(to_sql, stdin=subprocess.PIPE, stdout=statements) as making,
                _pipe(making.stdin) as entrance,
                contextlib.suppress(BrokenPipeError),
            ):
                entrance.writelines(content)
        except DumpError:
            statements.close()
            if running.wait():
                return  # it was psql that failed first: its words are told
            raise
        with contextlib.suppress(BrokenPipeError):
            statements.write(b"COMMIT;\n")
            statements.flush()


@contextlib.contextmanager
def _program(command: list[str], **pipes: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run one of PostgreSQL's programs on the site's database; wait for its end."""
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(  # noqa: S603 - fixed commands
                command, stderr=said, env=_environment(), **{"stdin": subprocess.DEVNULL, **pipes}
            )
        except FileNotFoundError as error:
            words = f"{command[0]} is not installed: it comes with PostgreSQL's client."
            raise DumpError(words) from error
        try:
            yield process
        except BaseException:
            process.kill()
            raise
        finally:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()
            status = process.wait()
        if status:
            said.seek(0)
            words = said.read().decode(errors="replace").strip()[:_SAID_CHARS]
            raise DumpError(f"{command[0]} failed with {status}: {words}")


def _environment() -> dict[str, str]:
    """Return what tells PostgreSQL's programs the database; a password on no command line."""
    settings = connection.settings_dict
    options = settings.get("OPTIONS", {})
    given = {ours: str(settings[name]) for name, ours in _ENVIRONMENT.items() if settings[name]}
    given |= {ours: str(options[name]) for name, ours in _OPTIONS.items() if name in options}
    secret = {"PGPASSWORD": str(settings["PASSWORD"])} if settings["PASSWORD"] else {}
    return {**os.environ, **given, **secret, "PGOPTIONS": _LOCK_WAIT}


def _sqlite_dump() -> Iterator[bytes]:
    with _beside() as path:
        with contextlib.closing(sqlite3.connect(path)) as copy:
            connection.ensure_connection()
            connection.connection.backup(copy)
        with path.open("rb") as file:
            yield from _read_all(file)


def _sqlite_restore(content: Iterable[bytes]) -> None:
    with _beside() as path:
        with path.open("wb") as file:
            file.writelines(content)
        with contextlib.closing(sqlite3.connect(path)) as copy:
            try:
                [(verdict,)] = copy.execute("PRAGMA integrity_check(1)").fetchall()
            except sqlite3.DatabaseError as error:
                raise DumpError(f"The backup holds no SQLite database: {error}.") from error
            if verdict != "ok":
                raise DumpError(f"The backup's database is damaged: {verdict}.")
            connection.ensure_connection()
            copy.backup(connection.connection)
    connection.close()


@contextlib.contextmanager
def _beside() -> Iterator[Path]:
    """Yield an empty file in the database's folder, for its owner alone; it goes afterwards."""
    folder = Path(str(connection.settings_dict["NAME"])).parent
    with tempfile.TemporaryDirectory(prefix="backup-", dir=folder) as own:
        yield Path(own) / "copy.sqlite3"


def _read_all(file: IO[bytes]) -> Iterator[bytes]:
    while part := file.read(_READ_BYTES):
        yield part


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise DumpError("The program has no pipe.")
    return pipe
