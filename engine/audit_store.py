"""Where run records are kept: an SQLite file, or a PostgreSQL database by URL.

Two tables that only grow. `audit_runs` holds the records, each with the hash of the one before it;
`audit_heads` holds number and hash once more, so that a record taken out of one table is missed by
the other; `audit_files` holds what was read, by its own digest. Triggers refuse every change and
every record that does not follow the last one. What the hashes mean is `audit`'s; here is only
reading, and appending under a lock so that two writers cannot both follow the same record.

SQLite needs nothing beside Python; PostgreSQL is reached through SQLAlchemy (the extra `audit`).
"""

from __future__ import annotations

import os
import sqlite3
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from engine.dataclass import dataclass
from engine.errors import HeguiError, Problem, Wording, register, system_reason

register({
    "audit-database": Wording(
        "运行记录库 {url} 用不了：{reason_zh}", "the run records at {url} cannot be used: {reason}"
    ),
    "audit-missing": Wording(
        "{url} 没有运行记录",
        "there are no run records at {url}",
        "用 --audit 指明位置",
        "name the place with --audit",
    ),
    "audit-extra": Wording(
        "连接 {url} 需要 SQLAlchemy 与 psycopg",
        "{url} needs SQLAlchemy and psycopg",
        "安装 hegui[audit]",
        "install hegui[audit]",
    ),
})

GENESIS = "0" * 64
"""What the first record follows."""
WAIT_SECONDS = 60
"""How long a writer waits for another one to finish."""


class AuditError(HeguiError):
    """Run records that cannot be kept or read."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One record as it is kept: `head` and `content` are canonical JSON, `hash` chains the head to the one before."""

    number: int
    previous: str
    hash: str
    head: str
    content: str


class Store(Protocol):
    """What keeps the records."""

    shown: str

    def append(self, make: Callable[[int, str], Stored], files: Mapping[str, bytes]) -> Stored:
        """Keep the record that `make` builds from its number and the last hash, and the files by digest."""

    def records(self, contents: bool = True) -> Iterator[Stored]:
        """Every record in the order of its number; `content` is left empty unless it is asked for."""

    def record(self, number: int) -> Stored | None: ...

    def heads(self) -> list[tuple[int, str]]: ...

    def files(self) -> Iterator[tuple[str, bytes | None]]:
        """Digest and bytes of every kept file; None where they cannot be unpacked."""

    def file(self, digest: str) -> bytes | None: ...

    def missing_guards(self) -> list[str]:
        """The triggers that should refuse changes and are not there."""

    def close(self) -> None: ...


def default_path() -> Path:
    """The user's own data folder, unless `HEGUI_AUDIT` names another place."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "hegui" / "audit.sqlite"


def open_store(url: str | Path | None = None, create: bool = True) -> Store:
    """The store at a path, an `sqlite:///` URL or a `postgresql://` URL; None is `HEGUI_AUDIT` or `default_path()`.

    Errors (`AuditError`): `audit-database`; `audit-missing` where nothing is there and `create` is False.
    """
    text = str(url or os.environ.get("HEGUI_AUDIT") or default_path())
    scheme, separator, rest = text.partition("://")
    if not separator or scheme == "sqlite":
        return SqliteStore(Path(rest.removeprefix("/")) if separator else Path(text), create)
    if scheme.partition("+")[0] in ("postgresql", "postgres"):
        return ServerStore(text, create)
    raise AuditError(
        Problem(
            "audit-database",
            fields={"url": hidden(text), "reason_zh": "只支持 SQLite 与 PostgreSQL", "reason": "SQLite or PostgreSQL"},
        )
    )


def hidden(url: str) -> str:
    """The URL without its password."""
    scheme, separator, rest = url.partition("://")
    account, at, host = rest.rpartition("@")
    if not separator or not at:
        return url
    return f"{scheme}://{account.partition(':')[0]}@{host}"


def _unavailable(url: str, error: Exception | str) -> AuditError:
    if isinstance(error, OSError):
        return AuditError(Problem("audit-database", fields={"url": url, **system_reason(error)}))
    reason = str(error).strip().split("\n")[0]
    return AuditError(Problem("audit-database", fields={"url": url, "reason_zh": reason, "reason": reason}))


def _missing(url: str) -> AuditError:
    return AuditError(Problem("audit-missing", fields={"url": url}))


def _unpack(data: object) -> bytes | None:
    try:
        return zlib.decompress(data)  # type: ignore[arg-type]
    except (zlib.error, TypeError):
        return None


# SQLite

_SQLITE_TABLES = f"""
CREATE TABLE audit_runs (
    number INTEGER PRIMARY KEY,
    previous TEXT NOT NULL UNIQUE,
    hash TEXT NOT NULL UNIQUE,
    head TEXT NOT NULL,
    content TEXT NOT NULL
);
CREATE TABLE audit_heads (number INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE);
CREATE TABLE audit_files (digest TEXT PRIMARY KEY, size INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TRIGGER audit_runs_follow BEFORE INSERT ON audit_runs
WHEN NEW.number <> (SELECT COALESCE(MAX(number), 0) + 1 FROM audit_runs)
  OR NEW.previous <> COALESCE((SELECT hash FROM audit_runs ORDER BY number DESC LIMIT 1), '{GENESIS}')
BEGIN SELECT RAISE(ABORT, 'run records are only added at the end'); END;
CREATE TRIGGER audit_heads_follow BEFORE INSERT ON audit_heads
WHEN NEW.hash IS NOT (SELECT hash FROM audit_runs WHERE number = NEW.number)
  OR EXISTS (SELECT 1 FROM audit_heads WHERE number = NEW.number OR hash = NEW.hash)
BEGIN SELECT RAISE(ABORT, 'run records are only added at the end'); END;
CREATE TRIGGER audit_files_follow BEFORE INSERT ON audit_files
WHEN EXISTS (SELECT 1 FROM audit_files WHERE digest = NEW.digest)
BEGIN SELECT RAISE(ABORT, 'kept files are never replaced'); END;
""" + "".join(
    f"""
CREATE TRIGGER {table}_no_{action} BEFORE {action} ON {table}
BEGIN SELECT RAISE(ABORT, 'run records are never changed or removed'); END;
"""
    for table in ("audit_runs", "audit_heads", "audit_files")
    for action in ("update", "delete")
)
_SQLITE_GUARDS = frozenset(
    f"{table}_{guard}"
    for table in ("audit_runs", "audit_heads", "audit_files")
    for guard in ("follow", "no_update", "no_delete")
)


class SqliteStore:
    """One file. A record is a transaction: SQLite's journal makes it whole or nothing, whenever the writer dies."""

    def __init__(self, path: Path, create: bool = True) -> None:
        self.shown = str(path)
        try:
            if not path.exists() and not create:
                raise _missing(self.shown)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None)
            self._connection.execute("PRAGMA synchronous = EXTRA")  # on disk, its folder entry too, before it is said
            self._prepare(create)
        except (sqlite3.Error, OSError) as error:
            raise _unavailable(self.shown, error) from None

    def _prepare(self, create: bool) -> None:
        def ready() -> bool:
            found = self._connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'audit_files'").fetchone()
            return found is not None

        if not ready():
            if not create:  # an empty file, or a database of something else
                raise _missing(self.shown)
            with self._writing():
                if not ready():  # another writer may have been first
                    for statement in _statements(_SQLITE_TABLES):
                        self._connection.execute(statement)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def append(self, make: Callable[[int, str], Stored], files: Mapping[str, bytes]) -> Stored:
        try:
            with self._writing():
                last = self._connection.execute(
                    "SELECT number, hash FROM audit_runs ORDER BY number DESC LIMIT 1"
                ).fetchone()
                record = make(*((last[0] + 1, last[1]) if last else (1, GENESIS)))
                for digest, data in files.items():
                    if not self._connection.execute("SELECT 1 FROM audit_files WHERE digest = ?", (digest,)).fetchone():
                        self._connection.execute(
                            "INSERT INTO audit_files VALUES (?, ?, ?)", (digest, len(data), zlib.compress(data, 9))
                        )
                self._connection.execute(
                    "INSERT INTO audit_runs VALUES (?, ?, ?, ?, ?)",
                    (record.number, record.previous, record.hash, record.head, record.content),
                )
                self._connection.execute("INSERT INTO audit_heads VALUES (?, ?)", (record.number, record.hash))
            return record
        except sqlite3.Error as error:
            raise _unavailable(self.shown, error) from None

    def _rows(self, query: str, *values: object) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._connection.execute(query, values)
        except sqlite3.Error as error:
            raise _unavailable(self.shown, error) from None

    def records(self, contents: bool = True) -> Iterator[Stored]:
        what = "content" if contents else "''"
        for row in self._rows(f"SELECT number, previous, hash, head, {what} FROM audit_runs ORDER BY number"):
            yield Stored(*row)

    def record(self, number: int) -> Stored | None:
        query = "SELECT number, previous, hash, head, content FROM audit_runs WHERE number = ?"
        return next((Stored(*row) for row in self._rows(query, number)), None)

    def heads(self) -> list[tuple[int, str]]:
        return [(row[0], row[1]) for row in self._rows("SELECT number, hash FROM audit_heads ORDER BY number")]

    def files(self) -> Iterator[tuple[str, bytes | None]]:
        for digest, data in self._rows("SELECT digest, data FROM audit_files ORDER BY digest"):
            yield digest, _unpack(data)

    def file(self, digest: str) -> bytes | None:
        query = "SELECT data FROM audit_files WHERE digest = ?"
        return next((_unpack(row[0]) for row in self._rows(query, digest)), None)

    def missing_guards(self) -> list[str]:
        found = {row[0] for row in self._rows("SELECT name FROM sqlite_master WHERE type = 'trigger'")}
        return sorted(_SQLITE_GUARDS - found)

    def close(self) -> None:
        self._connection.close()


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one: `executescript` would end the transaction they belong to."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


# PostgreSQL

_LOCK = 0x68656775  # "hegu": the advisory lock writers take, which needs no right beyond INSERT

_SERVER_FUNCTIONS = (
    """
    CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'run records are never changed or removed'; END $$
    """,
    f"""
    CREATE OR REPLACE FUNCTION audit_runs_follow() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.number <> (SELECT COALESCE(MAX(number), 0) + 1 FROM audit_runs)
           OR NEW.previous <> COALESCE((SELECT hash FROM audit_runs ORDER BY number DESC LIMIT 1), '{GENESIS}')
        THEN RAISE EXCEPTION 'run records are only added at the end'; END IF;
        RETURN NEW;
    END $$
    """,
)
_SERVER_GUARDS = {
    "audit_runs_follow": "BEFORE INSERT ON audit_runs FOR EACH ROW EXECUTE FUNCTION audit_runs_follow()",
    **{
        f"{table}_no_{action}": f"BEFORE {action} ON {table} FOR EACH {each} EXECUTE FUNCTION audit_refuse()"
        for table in ("audit_runs", "audit_heads", "audit_files")
        for action, each in (("update", "ROW"), ("delete", "ROW"), ("truncate", "STATEMENT"))
    },
}


class ServerStore:
    """A PostgreSQL database, which several offices may write to at once."""

    def __init__(self, url: str, create: bool = True) -> None:
        self.shown = hidden(url)
        try:
            import sqlalchemy as sql
        except ImportError:
            raise AuditError(Problem("audit-extra", fields={"url": self.shown})) from None
        self._sql = sql
        _, _, rest = url.partition("://")
        meta = sql.MetaData()
        self._runs = sql.Table(
            "audit_runs",
            meta,
            sql.Column("number", sql.BigInteger, primary_key=True, autoincrement=False),
            sql.Column("previous", sql.Text, nullable=False, unique=True),
            sql.Column("hash", sql.Text, nullable=False, unique=True),
            sql.Column("head", sql.Text, nullable=False),
            sql.Column("content", sql.Text, nullable=False),
        )
        self._heads = sql.Table(
            "audit_heads",
            meta,
            sql.Column("number", sql.BigInteger, primary_key=True, autoincrement=False),
            sql.Column("hash", sql.Text, nullable=False, unique=True),
        )
        self._files = sql.Table(
            "audit_files",
            meta,
            sql.Column("digest", sql.Text, primary_key=True),
            sql.Column("size", sql.BigInteger, nullable=False),
            sql.Column("data", sql.LargeBinary, nullable=False),
        )
        with self._asking():
            try:
                address = sql.make_url(f"postgresql+psycopg://{rest}")
            except ValueError as error:  # a port that is no number
                raise _unavailable(self.shown, error) from None
            self._engine = sql.create_engine(
                address, connect_args={"connect_timeout": WAIT_SECONDS}, pool_pre_ping=True
            )
            self._prepare(meta, create)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except (self._sql.exc.SQLAlchemyError, ImportError) as error:
            raise _unavailable(self.shown, getattr(error, "orig", None) or error) from None

    @contextmanager
    def _writing(self) -> Iterator[Any]:
        """A transaction that no other writer can enter until it ends."""
        with self._engine.begin() as connection:
            connection.execute(self._sql.text(f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'"))
            connection.execute(self._sql.text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            yield connection

    def _prepare(self, meta: Any, create: bool) -> None:
        if self._sql.inspect(self._engine).has_table("audit_files"):
            return
        if not create:
            raise _missing(self.shown)
        with self._writing() as connection:
            if self._sql.inspect(connection).has_table("audit_files"):  # another writer may have been first
                return
            meta.create_all(connection)
            for function in _SERVER_FUNCTIONS:
                connection.execute(self._sql.text(function))
            for name, guard in _SERVER_GUARDS.items():
                connection.execute(self._sql.text(f"CREATE TRIGGER {name} {guard}"))

    def append(self, make: Callable[[int, str], Stored], files: Mapping[str, bytes]) -> Stored:
        runs, kept = self._runs, self._files
        with self._asking(), self._writing() as connection:
            query = self._sql.select(runs.c.number, runs.c.hash).order_by(runs.c.number.desc()).limit(1)
            last = connection.execute(query).first()
            record = make(*((last.number + 1, last.hash) if last else (1, GENESIS)))
            for digest, data in files.items():
                if connection.execute(self._sql.select(kept.c.size).where(kept.c.digest == digest)).first() is None:
                    packed = zlib.compress(data, 9)
                    connection.execute(kept.insert().values(digest=digest, size=len(data), data=packed))
            connection.execute(
                runs.insert().values(
                    number=record.number,
                    previous=record.previous,
                    hash=record.hash,
                    head=record.head,
                    content=record.content,
                )
            )
            connection.execute(self._heads.insert().values(number=record.number, hash=record.hash))
        return record

    def _rows(self, query: Any) -> Iterator[Any]:
        with self._asking(), self._engine.connect().execution_options(yield_per=200) as connection:
            yield from connection.execute(query)

    def records(self, contents: bool = True) -> Iterator[Stored]:
        runs = self._runs.c
        content = runs.content if contents else self._sql.literal("")
        query = self._sql.select(runs.number, runs.previous, runs.hash, runs.head, content)
        for row in self._rows(query.order_by(runs.number)):
            yield Stored(*row)

    def record(self, number: int) -> Stored | None:
        query = self._sql.select(self._runs).where(self._runs.c.number == number)
        return next((Stored(*row) for row in self._rows(query)), None)

    def heads(self) -> list[tuple[int, str]]:
        query = self._sql.select(self._heads).order_by(self._heads.c.number)
        return [(row.number, row.hash) for row in self._rows(query)]

    def files(self) -> Iterator[tuple[str, bytes | None]]:
        query = self._sql.select(self._files.c.digest, self._files.c.data).order_by(self._files.c.digest)
        for row in self._rows(query):
            yield row.digest, _unpack(row.data)

    def file(self, digest: str) -> bytes | None:
        query = self._sql.select(self._files.c.data).where(self._files.c.digest == digest)
        return next((_unpack(row.data) for row in self._rows(query)), None)

    def missing_guards(self) -> list[str]:
        text = "SELECT tgname FROM pg_trigger WHERE tgrelid IN ('audit_runs'::regclass, 'audit_heads'::regclass, "
        text += "'audit_files'::regclass) AND tgenabled <> 'D'"
        found = {row.tgname for row in self._rows(self._sql.text(text))}
        return sorted(_SERVER_GUARDS.keys() - found)

    def close(self) -> None:
        self._engine.dispose()
