"""Numbered schema migrations of the article store."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    func,
    inspect,
    select,
    text,
)

from bot.errors import DatabaseError
from bot.storage.schema import (
    CORRECTIONS_CURSOR,
    answers,
    articles,
    build_cited_rows,
    cited,
    collections,
    facts,
    feeds,
    metadata,
    pages,
    passages,
    resting_hosts,
    slack_channels,
    slack_events,
    slack_jobs,
    slack_struck,
    slack_threads,
    stories,
    story_keys,
    story_links,
    traces,
    versions,
)

_FIRST_TABLES = (facts, articles, versions, passages, collections)
_MIGRATION_KEY = 0x6369746D69  # PostgreSQL advisory lock for changing the schema


def _create_tables(connection: Connection) -> None:
    metadata.create_all(connection, tables=_FIRST_TABLES)
    connection.execute(
        facts.insert(),
        [{"key": "library_id", "value": uuid.uuid4().hex}, {"key": "generation", "value": "0"}],
    )


def _add_answers(connection: Connection) -> None:
    metadata.create_all(connection, tables=(answers,))
    Table(
        "feedback",
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("answer_id", String, ForeignKey(answers.c.id), nullable=False, index=True),
        Column("verdict", String, nullable=False),
        Column("note", Text, nullable=False),
        Column("said", String, nullable=False),
    ).create(connection)


def _add_traces(connection: Connection) -> None:
    metadata.create_all(connection, tables=(traces,))


def _add_feedback_person(connection: Connection) -> None:
    for statement in (
        "ALTER TABLE feedback ADD COLUMN person VARCHAR NOT NULL DEFAULT ''",
        "ALTER TABLE feedback ADD COLUMN citation INTEGER NOT NULL DEFAULT 0",
        "CREATE UNIQUE INDEX feedback_once ON feedback (answer_id, person, citation) WHERE person != ''",
    ):
        connection.execute(text(statement))


def _add_slack(connection: Connection) -> None:
    metadata.create_all(connection, tables=(slack_channels, slack_events, slack_jobs, slack_threads))


def _add_changes(connection: Connection) -> None:
    Table(
        "changes",
        MetaData(),
        Column("article_id", String, primary_key=True),
        Column("generation", Integer, nullable=False, index=True),
    ).create(connection)
    connection.execute(text("CREATE INDEX IF NOT EXISTS ix_versions_published ON versions (published)"))


def _add_citations(connection: Connection) -> None:
    connection.execute(text("ALTER TABLE changes ADD COLUMN changed VARCHAR NOT NULL DEFAULT ''"))
    metadata.create_all(connection, tables=(cited, slack_struck))
    given = connection.execute(select(answers.c.id, answers.c.answer)).yield_per(100)
    for rows in given.partitions():
        found = [row for answer_id, answer in rows for row in build_cited_rows(answer_id, answer)]
        if found:
            connection.execute(cited.insert(), found)
    # Earlier changes are not reported in Slack.
    now = select(facts.c.value).where(facts.c.key == "generation").scalar_subquery()
    connection.execute(facts.insert().values(key=CORRECTIONS_CURSOR, value=now))


def _add_sources(connection: Connection) -> None:
    # In a new article store, the first migration has created the column already.
    if "author" not in {column["name"] for column in inspect(connection).get_columns(versions.name)}:
        connection.execute(text("ALTER TABLE versions ADD COLUMN author VARCHAR NOT NULL DEFAULT ''"))
    metadata.create_all(connection, tables=(feeds, pages, resting_hosts))


def _add_pages(connection: Connection) -> None:
    # In a new article store, the first migration has created the column already.
    if "pages" not in {column["name"] for column in inspect(connection).get_columns("versions")}:
        connection.execute(text("ALTER TABLE versions ADD COLUMN pages JSON DEFAULT '[]' NOT NULL"))


def _add_stories(connection: Connection) -> None:
    metadata.create_all(connection, tables=(stories, story_keys, story_links))


def _add_link_key(connection: Connection) -> None:
    connection.execute(facts.insert().values(key="link_key", value=secrets.token_hex(32)))


# Migration n upgrades schema n to schema n + 1. New migrations are only added at the end. A migration that
# changes a table contains its old and new columns itself, because `schema` has the newest tables.
MIGRATIONS: tuple[Callable[[Connection], None], ...] = (
    _create_tables,
    _add_answers,
    _add_traces,
    _add_feedback_person,
    _add_slack,
    _add_changes,
    _add_citations,
    _add_sources,
    _add_pages,
    _add_stories,
    _add_link_key,
)


def schema_version(connection: Connection) -> int:
    """Return the schema version of a database; 0 if it is empty."""
    if not inspect(connection).has_table("facts"):
        return 0
    row = connection.execute(facts.select().where(facts.c.key == "schema")).first()
    return int(row.value) if row else 0


def migrate(engine: Engine, steps: tuple[Callable[[Connection], None], ...] = MIGRATIONS) -> None:
    """Migrate a database to the newest schema, in one transaction.

    Args:
        engine: the database.
        steps: all migrations.

    Raises:
        DatabaseError: if the schema is newer than this version of Citewire, which could lose data by writing to it.
    """
    with engine.connect() as connection:  # nearly always up to date: do not wait for a writer
        if schema_version(connection) == len(steps):
            return
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":  # its driver does not begin a transaction for CREATE and ALTER
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:  # another machine may be opening the same database for the first time
            connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_KEY)))
        found = schema_version(connection)
        if found > len(steps):
            raise DatabaseError(
                f"this library has schema {found}, made by a newer Citewire (this one knows {len(steps)}): "
                "upgrade Citewire or name another --data-dir"
            )
        for step in steps[found:]:
            step(connection)
        if found < len(steps):
            connection.execute(facts.delete().where(facts.c.key == "schema"))
            connection.execute(facts.insert().values(key="schema", value=str(len(steps))))
