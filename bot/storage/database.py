"""SQLAlchemy engine for SQLite or PostgreSQL, dialect helpers and error translation."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Table, TextClause, create_engine, event, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from bot.errors import DatabaseError

CHUNK_SIZE = 500  # values per IN (…), far below the parameter limits of all databases
_T = TypeVar("_T")


def open_engine(url: str) -> Engine:
    """Return an engine for a SQLAlchemy URL.

    Raises:
        DatabaseError: if the URL is invalid or its driver is not installed.
    """
    try:
        engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
    except (ArgumentError, NoSuchModuleError) as exc:
        raise DatabaseError(
            "CITEWIRE_DATABASE_URL is not a database URL (postgresql+psycopg://user@host/name)"
        ) from exc
    except ModuleNotFoundError as exc:
        raise DatabaseError(f"{exc.name} is not installed: pip install 'citewire[postgres]'") from exc
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    """Configure a connection: concurrent readers and writer (WAL), and waiting for a lock instead of failing."""
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


@contextlib.contextmanager
def translate_errors(engine: Engine) -> Iterator[None]:
    """Convert exceptions of SQLAlchemy to a DatabaseError that names the database."""
    try:
        yield
    except SQLAlchemyError as exc:
        # The driver's message without the statement, which may contain article text.
        reason = str(getattr(exc, "orig", None) or exc).strip().splitlines()[0]
        place = engine.url.database if engine.dialect.name == "sqlite" else engine.url.render_as_string()
        raise DatabaseError(
            f"the library cannot be used: {place}: {reason}; see to that database, or put a backup in its place"
        ) from exc


def insert_if_absent(connection: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Insert a row unless one of its unique keys exists already, and return True if it was inserted."""
    statement = _dialect_insert(connection)(table).values(row).on_conflict_do_nothing()
    # Without this option, SQLAlchemy does not read the row count from PostgreSQL's driver.
    return connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount == 1


def upsert(
    connection: Connection,
    table: Table,
    row: Mapping[str, Any],
    *,
    key: Sequence[str],
    where: TextClause | None = None,
) -> None:
    """Insert a row, or update the one with the same key, in one statement, so that two replicas cannot both insert.

    Args:
        connection: an open transaction.
        table: the table.
        row: values by column name.
        key: the columns of a unique index.
        where: the condition of the index, if it is a partial one.
    """
    statement = _dialect_insert(connection)(table).values(row)
    renewed = {name: statement.excluded[name] for name in row if name not in key}
    connection.execute(statement.on_conflict_do_update(index_elements=key, index_where=where, set_=renewed))


def advisory_lock(connection: Connection, key: int) -> None:
    """Wait until no other transaction holds this lock; not needed for SQLite, which allows one writer at a time."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


def _dialect_insert(connection: Connection) -> Any:
    """Return the insert function of the dialect, which supports ON CONFLICT; imported lazily, because it is slow."""
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert
    from sqlalchemy.dialects import postgresql

    return postgresql.insert


def chunks(items: Iterable[_T], size: int = CHUNK_SIZE) -> Iterator[list[_T]]:
    """Yield `items` in lists of at most `size`."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
