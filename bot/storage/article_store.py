"""Versioned, crash-safe writes of articles and passages; both indexes can be rebuilt from the article store.

The row of an article contains its visible version. A higher version is *pending*: written, but not yet in both
indexes. Passages of any other version than the visible one are *stale* and are going to be removed from the indexes.
`publish` switches versions in one transaction, so that after a crash at any moment either the old or the new version of
an article is visible.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import (
    Connection,
    delete,
    func,
    or_,
    select,
    text,
    tuple_,
    update,
)

from bot.articles.article import canonical_url
from bot.articles.chunking import Passage
from bot.errors import DatabaseError
from bot.storage.article_reader import PAGE_SIZE, ArticleReader, visible, visible_passage
from bot.storage.database import chunks, translate_errors
from bot.storage.models import ArticleFingerprint, PendingRef, PendingVersion, VectorCollection
from bot.storage.schema import articles, changes, cited, collections, facts, passages, versions

_MAX_VERSIONS = 20  # per article, in addition to the versions that answers cite
_WRITER_KEY = 0x6369746577  # PostgreSQL advisory lock of the writer


class ArticleStore(ArticleReader):
    """Read and write access to an article store; safe to share between threads."""

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a transaction, committed at the end of the block and rolled back on an exception."""
        with translate_errors(self._engine), self._engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def writer_lock(self) -> Iterator[None]:
        """Hold the lock for writing to an article store that several machines share; wait for it if necessary."""
        if self._engine.dialect.name != "postgresql":
            yield  # SQLite is in a data directory, whose lock the writer holds already
            return
        with self.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _WRITER_KEY})
            connection.commit()
            try:
                yield
            finally:
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _WRITER_KEY})
                connection.commit()

    def fingerprints(self, article_ids: Iterable[str]) -> dict[str, ArticleFingerprint]:
        """Return the fingerprints of those of the given articles that are visible, by id."""
        query = select(articles.c.id, versions.c.content_hash, articles.c.origin).join(versions, visible)
        with self.connect() as connection:
            rows = (
                connection.execute(query.where(articles.c.id.in_(chunk))) for chunk in chunks(article_ids)
            )
            return {
                row.id: ArticleFingerprint(row.content_hash, row.origin) for result in rows for row in result
            }

    def origins(self) -> Iterator[tuple[str, str]]:
        """Yield id and origin of each visible article; articles may be removed during the iteration."""
        query = select(articles.c.id, articles.c.origin).where(articles.c.version.is_not(None))
        query, last = query.order_by(articles.c.id).limit(PAGE_SIZE), ""
        while rows := self._fetch_all(query.where(articles.c.id > last)):
            yield from ((row.id, row.origin) for row in rows)
            last = rows[-1].id

    def next_versions(self, article_ids: Iterable[str]) -> dict[str, int]:
        """Return the number of the next version of each article.

        It is higher than that of every stored passage, so that the id of a stale passage is never reused, and of every
        citation, so that an article that was forgotten and ingested again is not confused with the cited one.
        """
        ids = list(article_ids)
        numbers = dict.fromkeys(ids, 1)
        with self.connect() as connection:
            for table in (versions, passages, cited):
                query = select(table.c.article_id, func.max(table.c.version)).group_by(table.c.article_id)
                for chunk in chunks(ids):
                    for article_id, newest in connection.execute(query.where(table.c.article_id.in_(chunk))):
                        numbers[article_id] = max(numbers[article_id], newest + 1)
        return numbers

    def write(self, drafts: Sequence[PendingVersion]) -> list[PendingRef]:
        """Store pending versions and their passages; they are not visible before they are published."""
        if not drafts:
            return []
        with self.transaction() as connection:
            origins = {draft.article.id: draft.article.origin for draft in drafts}
            known = {
                row.id for row in connection.execute(select(articles.c.id).where(articles.c.id.in_(origins)))
            }
            new = [{"id": key, "origin": origin} for key, origin in origins.items() if key not in known]
            if new:
                connection.execute(articles.insert(), new)
            connection.execute(versions.insert(), [_build_version_row(draft) for draft in drafts])
            rows = [
                _build_passage_row(passage, draft.version) for draft in drafts for passage in draft.passages
            ]
            connection.execute(passages.insert(), rows)
        return [PendingRef(draft.article.id, draft.version, draft.article.origin) for draft in drafts]

    def publish(
        self,
        written: Sequence[PendingRef],
        *,
        retired: Sequence[str] = (),
        collection: VectorCollection | None = None,
    ) -> None:
        """Make versions visible and remove articles, in one transaction.

        Args:
            written: the pending versions to publish.
            retired: ids of the articles to remove.
            collection: the vector collection of all articles that are visible afterwards; others are outdated and
                deleted from the table.
        """
        with self.transaction() as connection:
            for one in written:
                change = {"version": one.version, "origin": one.origin}
                connection.execute(update(articles).where(articles.c.id == one.article_id).values(change))
            self._drop_old_versions(connection, [one.article_id for one in written])
            for chunk in chunks(retired):
                connection.execute(update(articles).where(articles.c.id.in_(chunk)).values(version=None))
                connection.execute(delete(versions).where(versions.c.article_id.in_(chunk)))
            generation = self._next_generation(connection)
            self._record_changes(connection, [*(one.article_id for one in written), *retired], generation)
            if written or retired:
                connection.execute(delete(collections))
            if collection:
                connection.execute(
                    delete(collections).where(collections.c.fingerprint == collection.fingerprint)
                )
                connection.execute(collections.insert().values(_build_collection_row(collection)))

    def update_origins(self, origins: dict[str, str]) -> None:
        """Update the files that unchanged articles were last read from, by article id."""
        if not origins:
            return
        with self.transaction() as connection:
            for article_id, origin in origins.items():
                connection.execute(update(articles).where(articles.c.id == article_id).values(origin=origin))

    def discard_pending(self) -> None:
        """Delete versions that a crash has left unpublished; their passages become stale."""
        unpublished = select(versions.c.article_id, versions.c.version).join(
            articles, articles.c.id == versions.c.article_id
        )
        unpublished = unpublished.where(versions.c.version > func.coalesce(articles.c.version, 0))
        with self.transaction() as connection:
            for chunk in chunks([tuple(row) for row in connection.execute(unpublished)]):
                key = tuple_(versions.c.article_id, versions.c.version)
                connection.execute(delete(versions).where(key.in_(chunk)))

    def stale_passages(self) -> list[str]:
        """Return the ids of all passages that are not visible."""
        query = select(passages.c.id).join(articles, articles.c.id == passages.c.article_id)
        query = query.where(or_(articles.c.version.is_(None), articles.c.version != passages.c.version))
        with self.connect() as connection:
            return list(connection.scalars(query))

    def visible_passages(self, article_ids: Iterable[str]) -> list[str]:
        """Return the ids of the visible passages of the given articles."""
        query = select(passages.c.id).join(articles, visible_passage)
        with self.connect() as connection:
            queries = (query.where(passages.c.article_id.in_(chunk)) for chunk in chunks(article_ids))
            return [key for narrowed in queries for key in connection.scalars(narrowed)]

    def drop_passages(self, passage_ids: Sequence[str]) -> None:
        """Delete passages that were removed from both indexes, and articles without any version or passage."""
        with self.transaction() as connection:
            for chunk in chunks(passage_ids):
                connection.execute(delete(passages).where(passages.c.id.in_(chunk)))
            unused = [
                ~select(table.c.article_id).where(table.c.article_id == articles.c.id).exists()
                for table in (versions, passages)
            ]
            connection.execute(delete(articles).where(articles.c.version.is_(None), *unused))

    def _drop_old_versions(self, connection: Connection, article_ids: Iterable[str]) -> None:
        """Delete all but the latest versions and those that answers cite: a live blog has hundreds."""
        shown = select(articles.c.version).where(articles.c.id == versions.c.article_id).scalar_subquery()
        is_cited = select(cited.c.answer_id).where(
            cited.c.article_id == versions.c.article_id, cited.c.version == versions.c.version
        )
        for chunk in chunks(dict.fromkeys(article_ids)):
            connection.execute(
                delete(versions).where(
                    versions.c.article_id.in_(chunk),
                    versions.c.version <= shown - _MAX_VERSIONS,
                    ~is_cited.exists(),
                )
            )

    def _record_changes(self, connection: Connection, article_ids: Iterable[str], generation: int) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        # Without duplicates: an article may be written twice before a publication.
        for chunk in chunks(dict.fromkeys(article_ids)):
            connection.execute(delete(changes).where(changes.c.article_id.in_(chunk)))
            rows = [{"article_id": key, "generation": generation, "changed": now} for key in chunk]
            connection.execute(changes.insert(), rows)

    def _next_generation(self, connection: Connection) -> int:
        """Increment the generation; its row is locked until the transaction ends, so generations commit in order."""
        query = select(facts.c.value).where(facts.c.key == "generation").with_for_update()
        generation = int(connection.scalar(query) or 0) + 1
        connection.execute(update(facts).where(facts.c.key == "generation").values(value=str(generation)))
        return generation


def open_article_store(data_dir: Path, database_url: str = "") -> ArticleStore:
    """Open the article store: at `database_url`, or else SQLite in the data directory.

    Raises:
        DatabaseError: if it cannot be opened.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise DatabaseError(f"{data_dir}: the data folder cannot be made: {exc.strerror}") from exc
    url = database_url or f"sqlite:///{data_dir / 'library.sqlite'}"
    return ArticleStore(url, lock_file=data_dir / "library.lock")


def _build_version_row(draft: PendingVersion) -> dict[str, object]:
    article = draft.article
    return {
        "article_id": article.id,
        "version": draft.version,
        "content_hash": article.content_hash,
        "url": article.url,
        "canonical_url": canonical_url(article.url) if article.url else None,
        "title": article.title,
        "published": article.published.isoformat() if article.published else None,
        "source": article.source,
        "tags": list(article.tags),
        "author": article.author,
        "text": article.text,
        "pages": list(article.pages),
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _build_passage_row(passage: Passage, version: int) -> dict[str, object]:
    return {
        "id": passage.id,
        "article_id": passage.article_id,
        "version": version,
        "start": passage.start,
        "end": passage.end,
    }


def _build_collection_row(collection: VectorCollection) -> dict[str, object]:
    return {name: getattr(collection, name) for name in VectorCollection.__slots__}
