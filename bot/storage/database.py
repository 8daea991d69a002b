"""The connection to SQLite or PostgreSQL, and what goes wrong with it in plain words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Table, TextClause, create_engine, event, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from bot.errors import DatabaseError

CHUNK = 500  # values in one IN (…): far below every database's limit on parameters
_T = TypeVar("_T")


def open_engine(url: str) -> Engine:
    """Return an engine for a SQLAlchemy URL. Raises DatabaseError for one that cannot be used."""
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
    """Let readers and the writer work side by side (WAL), and wait for a lock rather than fail."""
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


@contextlib.contextmanager
def translated(engine: Engine) -> Iterator[None]:
    """Turn what SQLAlchemy raises into a DatabaseError that names the database."""
    try:
        yield
    except SQLAlchemyError as exc:
        # The driver's own words, without the statement: it can hold article text.
        reason = str(getattr(exc, "orig", None) or exc).strip().splitlines()[0]
        place = engine.url.database if engine.dialect.name == "sqlite" else engine.url.render_as_string()
        raise DatabaseError(
            f"the library cannot be used: {place}: {reason}; see to that database, or put a backup in its place"
        ) from exc


def insert_if_absent(connection: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Insert a row unless one of its keys is there already; say whether it was inserted."""
    statement = _insert(connection)(table).values(row).on_conflict_do_nothing()
    # Without the option SQLAlchemy does not ask PostgreSQL's driver.
    return connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount == 1


def upsert(
    connection: Connection,
    table: Table,
    row: Mapping[str, Any],
    *,
    key: Sequence[str],
    where: TextClause | None = None,
) -> None:
    """Insert a row, or renew the one that has its key, in one statement: two replicas cannot both insert.

    `key` names the columns of a unique index, `format_source` the condition of a partial one.
    """
    statement = _insert(connection)(table).values(row)
    renewed = {name: statement.excluded[name] for name in row if name not in key}
    connection.execute(statement.on_conflict_do_update(index_elements=key, index_where=where, set_=renewed))


def advisory_lock(connection: Connection, key: int) -> None:
    """Wait until no other transaction of this key is open; SQLite has one that writes at a time by itself."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


def _insert(connection: Connection) -> Any:
    """Return the dialect's own insert: only that knows conflicts. PostgreSQL's takes a while to import."""
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert
    from sqlalchemy.dialects import postgresql

    return postgresql.insert


def chunks(items: Iterable[_T], size: int = CHUNK) -> Iterator[list[_T]]:
    """Yield `items` in lists of at most `size`."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
