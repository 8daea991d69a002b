"""The library: articles with their versions and passages in SQL, the truth both indexes are rebuilt from.

An article's row names the version that readers see. A version above it is *pending*: written, but not yet
in both indexes. Passages of any version but the visible one are *stale* and wait to be taken out of the
indexes. `publish` flips versions in one transaction, so that after a crash at any moment readers have
either the old article or the new one.
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
from bot.storage.article_reader import PAGE, ArticleReader, visible, visible_passage
from bot.storage.database import chunks, translated
from bot.storage.models import ArticleFingerprint, PendingRef, PendingVersion, VectorCollection
from bot.storage.schema import articles, changes, cited, collections, facts, passages, versions

_KEPT_VERSIONS = 20  # of an article; what an answer cites is kept beyond that
_WRITER_KEY = 0x6369746577  # PostgreSQL's advisory lock of the one writer


class ArticleStore(ArticleReader):
    """The SQL database behind everything, for who reads and for the one who writes; safe to share between threads."""

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a transaction, kept when the block ends well."""
        with translated(self._engine), self._engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def writer_lock(self) -> Iterator[None]:
        """Wait for, then hold, the one right to write to a library that several machines share."""
        if self._engine.dialect.name != "postgresql":
            yield  # SQLite lies in a data folder, whose lock the writer holds already
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
        """Return what is known of the visible ones of these articles, by id."""
        query = select(articles.c.id, versions.c.content_hash, articles.c.origin).join(versions, visible)
        with self.connect() as connection:
            rows = (
                connection.execute(query.where(articles.c.id.in_(chunk))) for chunk in chunks(article_ids)
            )
            return {
                row.id: ArticleFingerprint(row.content_hash, row.origin) for result in rows for row in result
            }

    def origins(self) -> Iterator[tuple[str, str]]:
        """Yield each visible article's id and the file it was last read from; what is read may be removed."""
        query = select(articles.c.id, articles.c.origin).where(articles.c.version.is_not(None))
        query, last = query.order_by(articles.c.id).limit(PAGE), ""
        while rows := self._rows(query.where(articles.c.id > last)):
            yield from ((row.id, row.origin) for row in rows)
            last = rows[-1].id

    def next_versions(self, article_ids: Iterable[str]) -> dict[str, int]:
        """Return the number that each of these articles' next version gets.

        It is above that of every passage still known, so that a stale passage's id is never made again, and of every
        citation, so that an article that was forgotten and comes back is not taken for the one that was cited.
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
        """Store pending versions and their passages; readers do not see them before they are published."""
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
            connection.execute(versions.insert(), [_version_row(draft) for draft in drafts])
            rows = [_passage_row(passage, draft.version) for draft in drafts for passage in draft.passages]
            connection.execute(passages.insert(), rows)
        return [PendingRef(draft.article.id, draft.version, draft.article.origin) for draft in drafts]

    def publish(
        self,
        written: Sequence[PendingRef],
        *,
        retired: Sequence[str] = (),
        collection: VectorCollection | None = None,
    ) -> None:
        """Make these versions visible and these articles disappear, in one transaction.

        `collection` is where the vectors of all that is then visible stand; others fall behind and
        are forgotten.
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
            self._note_changes(connection, [*(one.article_id for one in written), *retired], generation)
            if written or retired:
                connection.execute(delete(collections))
            if collection:
                connection.execute(
                    delete(collections).where(collections.c.fingerprint == collection.fingerprint)
                )
                connection.execute(collections.insert().values(_fields(collection)))

    def update_origins(self, origins: dict[str, str]) -> None:
        """Note the files that unchanged articles were read from this time, by article id."""
        if not origins:
            return
        with self.transaction() as connection:
            for article_id, origin in origins.items():
                connection.execute(update(articles).where(articles.c.id == article_id).values(origin=origin))

    def discard_pending(self) -> None:
        """Remove versions that a crash left unpublished; their passages become stale."""
        unpublished = select(versions.c.article_id, versions.c.version).join(
            articles, articles.c.id == versions.c.article_id
        )
        unpublished = unpublished.where(versions.c.version > func.coalesce(articles.c.version, 0))
        with self.transaction() as connection:
            for chunk in chunks([tuple(row) for row in connection.execute(unpublished)]):
                key = tuple_(versions.c.article_id, versions.c.version)
                connection.execute(delete(versions).where(key.in_(chunk)))

    def stale_passages(self) -> list[str]:
        """Return the ids of all passages that no reader sees."""
        query = select(passages.c.id).join(articles, articles.c.id == passages.c.article_id)
        query = query.where(or_(articles.c.version.is_(None), articles.c.version != passages.c.version))
        with self.connect() as connection:
            return list(connection.scalars(query))

    def visible_passages(self, article_ids: Iterable[str]) -> list[str]:
        """Return the ids of the passages of these articles that readers see now."""
        query = select(passages.c.id).join(articles, visible_passage)
        with self.connect() as connection:
            queries = (query.where(passages.c.article_id.in_(chunk)) for chunk in chunks(article_ids))
            return [key for narrowed in queries for key in connection.scalars(narrowed)]

    def drop_passages(self, passage_ids: Sequence[str]) -> None:
        """Forget passages that are in neither index any more, and articles that have nothing left."""
        with self.transaction() as connection:
            for chunk in chunks(passage_ids):
                connection.execute(delete(passages).where(passages.c.id.in_(chunk)))
            unused = [
                ~select(table.c.article_id).where(table.c.article_id == articles.c.id).exists()
                for table in (versions, passages)
            ]
            connection.execute(delete(articles).where(articles.c.version.is_(None), *unused))

    # Within

    def _drop_old_versions(self, connection: Connection, article_ids: Iterable[str]) -> None:
        """Forget all but the latest versions, unless an answer cites them: a live blog has hundreds."""
        shown = select(articles.c.version).where(articles.c.id == versions.c.article_id).scalar_subquery()
        is_cited = select(cited.c.answer_id).where(
            cited.c.article_id == versions.c.article_id, cited.c.version == versions.c.version
        )
        for chunk in chunks(dict.fromkeys(article_ids)):
            connection.execute(
                delete(versions).where(
                    versions.c.article_id.in_(chunk),
                    versions.c.version <= shown - _KEPT_VERSIONS,
                    ~is_cited.exists(),
                )
            )

    def _note_changes(self, connection: Connection, article_ids: Iterable[str], generation: int) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        for chunk in chunks(dict.fromkeys(article_ids)):  # one may be written twice before it is published
            connection.execute(delete(changes).where(changes.c.article_id.in_(chunk)))
            rows = [{"article_id": key, "generation": generation, "changed": now} for key in chunk]
            connection.execute(changes.insert(), rows)

    def _next_generation(self, connection: Connection) -> int:
        """Raise the generation; the row is locked until the transaction ends, so that generations end in order."""
        query = select(facts.c.value).where(facts.c.key == "generation").with_for_update()
        generation = int(connection.scalar(query) or 0) + 1
        connection.execute(update(facts).where(facts.c.key == "generation").values(value=str(generation)))
        return generation


def open_library(data_dir: Path, database_url: str = "") -> ArticleStore:
    """Open the library that the settings name. Raises DatabaseError."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise DatabaseError(f"{data_dir}: the data folder cannot be made: {exc.strerror}") from exc
    url = database_url or f"sqlite:///{data_dir / 'library.sqlite'}"
    return ArticleStore(url, lock_file=data_dir / "library.lock")


def _version_row(draft: PendingVersion) -> dict[str, object]:
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


def _passage_row(passage: Passage, version: int) -> dict[str, object]:
    return {
        "id": passage.id,
        "article_id": passage.article_id,
        "version": version,
        "start": passage.start,
        "end": passage.end,
    }


def _fields(collection: VectorCollection) -> dict[str, object]:
    return {name: getattr(collection, name) for name in VectorCollection.__slots__}
