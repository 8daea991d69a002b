"""The library: what readers see, what a crash leaves, and the same on SQLite and on PostgreSQL."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import FOUR, make
from sqlalchemy import Connection, create_engine, inspect, text

from bot.articles.article import Article
from bot.articles.chunking import split_passages
from bot.errors import DatabaseError
from bot.storage import migrations, schema
from bot.storage.article_store import ArticleStore, open_article_store
from bot.storage.models import PendingVersion, VectorCollection

HERE = VectorCollection("f1", "model", 3, "place-1")


def draft(article: Article, version: int = 1) -> PendingVersion:
    return PendingVersion(article, version, tuple(split_passages(article.id, version, article.text)))


def put(library: ArticleStore, *drafts: PendingVersion) -> None:
    library.publish(library.write(drafts), collection=HERE)


def test_written_is_unseen_until_published(library: ArticleStore, four: list[Article]) -> None:
    drafts = [draft(article) for article in four]
    written = library.write(drafts)
    assert library.totals().articles == 0
    assert list(library.list_articles()) == []
    assert library.passages([drafts[0].passages[0].id]) == {}
    before = library.generation()
    library.publish(written, collection=HERE)
    assert library.totals().articles == 4
    assert library.generation() > before
    assert library.collection("f1") == HERE


def test_it_is_empty_until_something_can_be_read_in_it(library: ArticleStore, four: list[Article]) -> None:
    assert library.is_empty()
    written = library.write([draft(four[0])])
    assert library.is_empty()
    library.publish(written, collection=HERE)
    assert not library.is_empty()
    library.publish([], retired=[four[0].id])
    assert library.is_empty()


def test_it_is_opened_while_another_process_writes(tmp_path: Path) -> None:
    open_article_store(tmp_path).close()
    with sqlite3.connect(tmp_path / "library.sqlite") as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert open_article_store(tmp_path).is_empty()


def test_what_went_in_comes_out(library: ArticleStore, four: list[Article]) -> None:
    put(library, *(draft(article) for article in four))
    for article in four:
        assert library.article(article.id) == article
    kept = {found.article.id: found for found in library.iter_versions()}
    assert kept == {article.id: draft(article) for article in four}


def test_headlines_are_newest_first_and_undated_last(library: ArticleStore, four: list[Article]) -> None:
    put(library, *(draft(article) for article in four))
    assert [headline.article_id for headline in library.list_articles()] == ["moon", "bank", "cup", "quake"]


def test_a_passage_is_read_by_characters(library: ArticleStore) -> None:
    article = make({"id": "x", "text": "Ünïcödé 🌍 first. " * 60 + "Last 了."})
    drafted = draft(article)
    put(library, drafted)
    found = library.passages([passage.id for passage in drafted.passages])
    assert {passage.id: passage.text for passage in drafted.passages} == {
        key: hit.text for key, (hit, _) in found.items()
    }


def test_a_new_version_replaces_and_the_old_is_kept(library: ArticleStore, four: list[Article]) -> None:
    old = draft(four[0])
    put(library, old)
    assert library.next_versions(["moon", "new"]) == {"moon": 2, "new": 1}
    new = draft(replace(four[0], text="Corrected. " + four[0].text), 2)
    written = library.write([new])
    assert library.passages([old.passages[0].id])  # readers keep the old one until the new is published
    library.publish(written, collection=HERE)
    assert library.passages([old.passages[0].id]) == {}
    assert library.stale_passages() == [old.passages[0].id]
    assert library.article("moon", 1) == four[0]
    assert library.article("moon") == new.article


def test_of_many_versions_the_latest_are_kept_and_those_that_answers_cite(
    library: ArticleStore, four: list[Article]
) -> None:
    moon = four[0]
    for version in range(1, 26):
        put(library, draft(replace(moon, text=f"{moon.text} Version {version}."), version))
        if version == 2:
            with library.transaction() as connection:
                connection.execute(schema.answers.insert(), {"id": "a", "given": "", "answer": {}})
                row = {"answer_id": "a", "n": 1, "article_id": moon.id, "version": version}
                connection.execute(schema.cited.insert(), row)
    kept = [version for version in range(1, 26) if library.article(moon.id, version)]
    assert kept == [2, *range(6, 26)]


def test_retired_articles_leave_nothing(library: ArticleStore, four: list[Article]) -> None:
    drafts = [draft(article) for article in four]
    put(library, *drafts)
    library.publish([], retired=["moon"], collection=HERE)
    assert library.article("moon") is None
    assert library.article("moon", 1) is None
    assert library.totals().articles == 3
    stale = library.stale_passages()
    assert stale == [drafts[0].passages[0].id]
    library.drop_passages(stale)
    assert library.stale_passages() == []
    assert "moon" not in dict(library.origins())
    put(library, draft(four[0]))  # and it can come back
    assert library.article("moon") == four[0]


def test_a_crash_before_publishing_leaves_what_can_be_discarded(
    library: ArticleStore, four: list[Article]
) -> None:
    put(library, draft(four[0]))
    library.write([draft(replace(four[0], text="Half done."), 2), draft(four[1])])
    library.discard_pending()
    library.drop_passages(library.stale_passages())
    assert library.totals() == replace(library.totals(), articles=1, passages=1)
    assert library.next_versions(["moon", "bank"]) == {"moon": 2, "bank": 1}
    assert library.article("moon") == four[0]


def test_other_models_collections_fall_behind_when_articles_change(
    library: ArticleStore, four: list[Article]
) -> None:
    put(library, draft(four[0]))
    other = replace(HERE, fingerprint="f2", location="place-2")
    library.publish([], collection=other)
    assert {found.fingerprint for found in library.collections()} == {"f1", "f2"}
    library.publish(library.write([draft(four[1])]), collection=other)
    assert library.collections() == [other]


@pytest.mark.parametrize(
    "reference",
    ["moon", " moon ", "https://daily.example/moon", "http://www.daily.example/moon/?utm_source=x#top"],
)
def test_articles_are_found_by_id_and_by_any_form_of_their_url(
    library: ArticleStore, four: list[Article], reference: str
) -> None:
    put(library, *(draft(article) for article in four))
    assert library.find(reference) == "moon"
    assert library.find("nothing") is None


def test_two_libraries_have_ids_of_their_own(tmp_path: Path) -> None:
    one, two = open_article_store(tmp_path / "1"), open_article_store(tmp_path / "2")
    assert one.library_id != two.library_id
    assert one.library_id == open_article_store(tmp_path / "1").library_id


def test_values_are_never_statements(library: ArticleStore) -> None:
    nasty = "'; DROP TABLE articles; --"
    put(library, draft(make({"id": nasty, "title": nasty, "text": nasty, "source": nasty, "url": nasty})))
    assert library.find(nasty) == nasty


def test_an_older_schema_is_migrated_in_one_transaction(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.sqlite'}"
    engine = create_engine(url)

    def add_column(connection: Connection) -> None:
        connection.execute(text("ALTER TABLE articles ADD COLUMN mood TEXT"))

    def fail(connection: Connection) -> None:
        raise RuntimeError("power cut")

    migrations.migrate(engine)
    with pytest.raises(RuntimeError, match="power cut"):
        migrations.migrate(engine, (*migrations.MIGRATIONS, add_column, fail))
    with engine.connect() as connection:
        assert migrations.schema_version(connection) == len(migrations.MIGRATIONS)
    migrations.migrate(engine, (*migrations.MIGRATIONS, add_column))
    with engine.connect() as connection:
        assert migrations.schema_version(connection) == len(migrations.MIGRATIONS) + 1
        connection.execute(text("SELECT mood FROM articles"))
    engine.dispose()


def test_a_migrated_library_has_the_tables_as_they_are_now(library: ArticleStore) -> None:
    with library.connect() as connection:
        found = inspect(connection)
        for name, table in schema.metadata.tables.items():
            columns = {(column["name"], column["nullable"]) for column in found.get_columns(name)}
            assert columns == {(column.name, column.nullable) for column in table.columns}
            indexes = [index for index in found.get_indexes(name) if "duplicates_constraint" not in index]
            assert {index["name"] for index in indexes} == {index.name for index in table.indexes}


def test_feedback_of_an_older_library_is_the_terminals(tmp_path: Path, database_url: str) -> None:
    engine = create_engine(database_url or f"sqlite:///{tmp_path / 'library.sqlite'}")
    migrations.migrate(engine, migrations.MIGRATIONS[:3])
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO answers VALUES ('a1', '2026-01-01T00:00:00+00:00', '{}')"))
        for note in ("late", "late"):
            row = {"note": note, "said": "2026-01-02T00:00:00+00:00"}
            values = "(answer_id, verdict, note, said) VALUES ('a1', 'wrong', :note, :said)"
            connection.execute(text(f"INSERT INTO feedback {values}"), row)
    engine.dispose()
    library = open_article_store(tmp_path, database_url)
    with library.connect() as connection:
        rows = connection.execute(text("SELECT note, person, citation FROM feedback")).all()
    assert [tuple(row) for row in rows] == [("late", "", 0)] * 2
    library.close()


def test_articles_of_an_older_library_have_no_pages(tmp_path: Path, database_url: str) -> None:
    engine = create_engine(database_url or f"sqlite:///{tmp_path / 'library.sqlite'}")
    migrations.migrate(engine, migrations.MIGRATIONS[:7])
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE versions DROP COLUMN pages"))
        connection.execute(text("INSERT INTO articles VALUES ('a', 1, '/a.txt')"))
        row = {"id": "a", "hash": Article(id="a", text="x").content_hash}
        columns = "(article_id, version, content_hash, title, source, tags, text, written)"
        values = "(:id, 1, :hash, '', '', '[]', 'x', '2026-01-01T00:00:00+00:00')"
        connection.execute(text(f"INSERT INTO versions {columns} VALUES {values}"), row)
    engine.dispose()
    library = open_article_store(tmp_path, database_url)
    found = library.article("a")
    assert found
    assert found.pages == ()
    assert library.fingerprints(["a"])["a"].content_hash == found.content_hash
    library.close()


def test_the_pages_of_a_version_are_kept(library: ArticleStore) -> None:
    printed = replace(make({"id": "a", "text": "One. Two."}), pages=(5, 5))
    put(library, draft(printed))
    assert library.article("a") == printed


def test_a_library_of_a_newer_citewire_is_left_alone(tmp_path: Path) -> None:
    library = open_article_store(tmp_path)
    engine = create_engine(f"sqlite:///{tmp_path / 'library.sqlite'}")
    with engine.begin() as connection:
        connection.execute(text("UPDATE facts SET value = '99' WHERE key = 'schema'"))
    engine.dispose()
    library.close()
    with pytest.raises(DatabaseError, match=r"schema 99.*upgrade Citewire"):
        open_article_store(tmp_path)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "is not a database URL"),
        ("nosuch://x", "is not a database URL"),
        ("sqlite:////proc/no/such.db", "cannot be used"),
    ],
)
def test_an_unusable_database_is_named(tmp_path: Path, url: str, words: str) -> None:
    with pytest.raises(DatabaseError, match=words):
        open_article_store(tmp_path, url)


def test_the_oldest_newest_and_outlets_are_those_of_what_is_seen(library: ArticleStore) -> None:
    assert (library.oldest(), library.newest(), library.sources()) == (None, None, [])
    put(library, *(draft(make(dict(record))) for record in FOUR))
    assert library.oldest() == datetime(2022, 12, 18, tzinfo=UTC)
    assert library.newest() == datetime(2023, 8, 23, tzinfo=UTC)
    assert library.sources() == [("Daily", 2), ("Ledger", 1)]  # one article names no outlet
    library.write([draft(make({"id": "new", "text": "New.", "published": "2025-01-01", "source": "Wire"}))])
    library.publish([], retired=["cup", "moon"])
    assert library.oldest() == library.newest() == datetime(2023, 3, 10, tzinfo=UTC)
    assert library.sources() == [("Ledger", 1)]


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "library.sqlite").write_bytes(b"not a database, not at all" * 100)
    with pytest.raises(DatabaseError, match="file is not a database"):
        open_article_store(tmp_path)


def test_four_records_make_four_articles() -> None:
    assert len({make(dict(record)).id for record in FOUR}) == 4
