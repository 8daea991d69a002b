"""Read queries over published articles and passages."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    func,
    or_,
    select,
    tuple_,
)

from bot.articles.article import Article, canonical_url
from bot.articles.chunking import Passage, split_passages
from bot.storage import migrations
from bot.storage.database import chunks, open_engine, translate_errors
from bot.storage.models import (
    ArticleSummary,
    ArticleVersion,
    PendingVersion,
    SourceCount,
    StoreStats,
    VectorCollection,
)
from bot.storage.schema import articles, changes, collections, facts, passages, versions

PAGE_SIZE = 2_000  # rows per query, for iterations during which rows may change

visible = and_(articles.c.id == versions.c.article_id, articles.c.version == versions.c.version)
visible_passage = and_(articles.c.id == passages.c.article_id, articles.c.version == passages.c.version)
_SUMMARY_COLUMNS: tuple[ColumnElement[Any], ...] = (
    versions.c.article_id,
    versions.c.version,
    versions.c.title,
    versions.c.source,
    versions.c.published,
    versions.c.url,
    versions.c.author,
)


class ArticleReader:
    """Read access to an article store; safe to share between threads."""

    def __init__(self, url: str, *, lock_file: Path | None) -> None:
        """Open the article store and migrate its schema.

        Args:
            url: a SQLAlchemy URL.
            lock_file: held during the migration; if None, the schema is not migrated.

        Raises:
            DatabaseError: if the database cannot be used.
        """
        self._engine = open_engine(url)
        with translate_errors(self._engine):
            if lock_file:
                lock_file.parent.mkdir(parents=True, exist_ok=True)
                with FileLock(lock_file):  # two processes may open a new article store at the same time
                    migrations.migrate(self._engine)
            self.library_id = self._read_fact("library_id")

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextlib.contextmanager
    def connect(self) -> Iterator[Connection]:
        """Open a connection for reading."""
        with translate_errors(self._engine), self._engine.connect() as connection:
            yield connection

    def generation(self) -> int:
        """Return the generation, a number that increases with every change of the visible articles."""
        return int(self._read_fact("generation"))

    def schema_version(self) -> int:
        """Return the version of the schema: the number of migrations applied."""
        with self.connect() as connection:
            return migrations.schema_version(connection)

    def totals(self) -> StoreStats:
        """Return the numbers of visible articles and passages."""
        query = select(func.count()).select_from(passages).join(articles, visible_passage)
        with self.connect() as connection:
            found = connection.scalar(query) or 0
        return StoreStats(articles=self.count(), passages=found)

    def count(self) -> int:
        """Return the number of visible articles."""
        with self.connect() as connection:
            return connection.scalar(select(func.count()).where(articles.c.version.is_not(None))) or 0

    def is_empty(self) -> bool:
        """Return True if no article is visible; faster than `count`."""
        with self.connect() as connection:
            query = select(articles.c.id).where(articles.c.version.is_not(None))
            return connection.execute(query.limit(1)).first() is None

    def oldest(self) -> datetime | None:
        """Return the publication date of the oldest visible article, or None if no article has a date."""
        return self._first_published_date(versions.c.published.asc())

    def newest(self) -> datetime | None:
        """Return the publication date of the newest visible article, or None if no article has a date."""
        return self._first_published_date(versions.c.published.desc())

    def sources(self) -> list[SourceCount]:
        """Return the sources of the visible articles, most articles first; articles may have no source."""
        count = func.count()
        query = select(versions.c.source, count).join(articles, visible).where(versions.c.source != "")
        with self.connect() as connection:
            rows = connection.execute(query.group_by(versions.c.source)).all()
        return sorted((SourceCount(*row) for row in rows), key=lambda source: (-source.articles, source.name))

    def content_hash(self) -> str:
        """Return a hash over all visible articles, equal for equal articles in any article store."""
        digest = hashlib.sha256()
        for article_id, content_hash in self.hashes():
            digest.update(f"{article_id}\n{content_hash}\n".encode())
        return digest.hexdigest()

    def hashes(self) -> Iterator[tuple[str, str]]:
        """Yield id and content hash of each visible article, ordered by id."""
        query = select(articles.c.id, versions.c.content_hash).join(versions, visible)
        with self.connect() as connection:
            for row in connection.execution_options(yield_per=PAGE_SIZE).execute(
                query.order_by(articles.c.id)
            ):
                yield row.id, row.content_hash

    def collection(self, fingerprint: str) -> VectorCollection | None:
        """Return the vector collection of a model, or None if there is none."""
        return next((found for found in self.collections() if found.fingerprint == fingerprint), None)

    def collections(self) -> list[VectorCollection]:
        """Return all complete vector collections."""
        with self.connect() as connection:
            return [VectorCollection(*row) for row in connection.execute(select(collections))]

    def list_articles(self) -> Iterator[ArticleSummary]:
        """Yield the visible articles, newest first, then those without a date."""
        query = select(*_SUMMARY_COLUMNS).join(articles, visible)
        with self.connect() as connection:
            for row in connection.execute(
                query.order_by(
                    versions.c.published.is_(None), versions.c.published.desc(), versions.c.article_id
                )
            ):
                yield _build_summary(row)

    def article(self, article_id: str, version: int | None = None) -> Article | None:
        """Return a version of an article, by default the visible one, or None if it does not exist."""
        query = select(versions, articles.c.origin).join(articles, articles.c.id == versions.c.article_id)
        number = articles.c.version if version is None else version
        with self.connect() as connection:
            row = connection.execute(
                query.where(articles.c.id == article_id, versions.c.version == number)
            ).first()
        return _build_article(row) if row else None

    def article_version(self, article_id: str, version: int | None = None) -> ArticleVersion | None:
        """Return a version that is or was visible, by default the visible one, or None if it does not exist."""
        newest = next(self.iter_versions([article_id]), None)
        if newest is None or version in (None, newest.version):
            return (
                ArticleVersion(newest.article, newest.version, newest.passages, newest, None)
                if newest
                else None
            )
        article = self.article(article_id, version) if version and version < newest.version else None
        if article is None or version is None:
            return None
        # Passages of older versions are not stored; splitting the text again gives the same ones.
        passages = tuple(split_passages(article_id, version, article.text))
        return ArticleVersion(
            article, version, passages, newest, self._written_at(article_id, newest.version)
        )

    def is_withdrawn(self, article_id: str) -> bool:
        """Return True if an article was visible once and is not any more."""
        seen = select(changes.c.article_id).where(changes.c.article_id == article_id)
        visible = select(articles.c.id).where(articles.c.id == article_id, articles.c.version.is_not(None))
        with self.connect() as connection:
            return bool(connection.execute(seen).first()) and not connection.execute(visible).first()

    def link_key(self) -> str:
        """Return the secret key that signs the links to evidence pages, in hexadecimal digits."""
        return self._read_fact("link_key")

    def find(self, reference: str) -> str | None:
        """Return the id of the visible article with this id or URL, or None if there is none."""
        wanted = reference.strip()
        query = select(articles.c.id).join(versions, visible)
        query = query.where(or_(articles.c.id == wanted, versions.c.canonical_url == canonical_url(wanted)))
        with self.connect() as connection:
            found = [row.id for row in connection.execute(query.order_by(articles.c.id))]
        return wanted if wanted in found else next(iter(found), None)

    def passages(self, passage_ids: Sequence[str]) -> dict[str, tuple[Passage, ArticleSummary]]:
        """Return those of the given passages that are visible, by id, each with the summary of its article."""
        length = passages.c.end - passages.c.start
        query = (
            select(passages.c.id, passages.c.start, passages.c.end, *_SUMMARY_COLUMNS)
            .add_columns(func.substr(versions.c.text, passages.c.start + 1, length).label("slice"))
            .join(articles, visible_passage)
            .join(versions, visible)
        )
        found = {}
        with self.connect() as connection:
            for chunk in chunks(passage_ids):
                for row in connection.execute(query.where(passages.c.id.in_(chunk))):
                    passage = Passage(row.id, row.article_id, row.start, row.end, row.slice)
                    found[row.id] = (passage, _build_summary(row))
        return found

    def iter_versions(self, article_ids: Iterable[str] | None = None) -> Iterator[PendingVersion]:
        """Yield the visible versions of the given articles, by default of all, with their passages, to index them."""
        query = select(versions, articles.c.origin).join(articles, visible).order_by(articles.c.id)
        if article_ids is None:
            yield from self._iter_drafts(query)
        else:
            for chunk in chunks(article_ids):
                yield from self._iter_drafts(query.where(articles.c.id.in_(chunk)))

    def changed_since(self, generation: int) -> list[str]:
        """Return the ids of the articles that were added, changed or removed after a generation."""
        with self.connect() as connection:
            return list(
                connection.scalars(select(changes.c.article_id).where(changes.c.generation > generation))
            )

    def _iter_drafts(self, query: Select[Any]) -> Iterator[PendingVersion]:
        with self.connect() as connection:
            for rows in connection.execution_options(yield_per=100).execute(query).partitions():
                found = [(_build_article(row), row.version) for row in rows]
                cut = self._load_passages(connection, found)
                yield from (
                    PendingVersion(article, version, tuple(cut[article.id])) for article, version in found
                )

    def _load_passages(
        self, connection: Connection, found: Sequence[tuple[Article, int]]
    ) -> dict[str, list[Passage]]:
        """Return the passages of the given versions by article id, in text order."""
        key = tuple_(passages.c.article_id, passages.c.version)
        query = select(passages).where(key.in_([(article.id, version) for article, version in found]))
        texts = {article.id: article.text for article, _ in found}
        cut: dict[str, list[Passage]] = {article_id: [] for article_id in texts}
        for row in connection.execute(query.order_by(passages.c.start)):
            text = texts[row.article_id][row.start : row.end]
            cut[row.article_id].append(Passage(row.id, row.article_id, row.start, row.end, text))
        return cut

    def _written_at(self, article_id: str, version: int) -> datetime | None:
        query = select(versions.c.written).where(versions.c.article_id == article_id)
        with self.connect() as connection:
            return _parse_datetime(connection.scalar(query.where(versions.c.version == version)))

    def _first_published_date(self, order: ColumnElement[Any]) -> datetime | None:
        """Return the first date in the given order; uses the index, while a minimum would read every article."""
        dated = select(versions.c.published).join(articles, visible).where(versions.c.published.is_not(None))
        with self.connect() as connection:
            return _parse_datetime(connection.scalar(dated.order_by(order).limit(1)))

    def _fetch_all(self, query: Select[Any]) -> Sequence[Row[Any]]:
        with self.connect() as connection:
            return connection.execute(query).all()

    def _read_fact(self, key: str) -> str:
        with self.connect() as connection:
            return str(connection.scalar(select(facts.c.value).where(facts.c.key == key)))


def _build_article(row: Row[Any]) -> Article:
    return Article(
        id=row.article_id,
        text=row.text,
        title=row.title,
        url=row.url,
        published=_parse_datetime(row.published),
        source=row.source,
        tags=tuple(row.tags),
        author=row.author,
        origin=row.origin,
        pages=tuple(row.pages),
    )


def _build_summary(row: Row[Any]) -> ArticleSummary:
    moment = _parse_datetime(row.published)
    return ArticleSummary(row.article_id, row.version, row.title, row.source, moment, row.url, row.author)


def _parse_datetime(iso: str | None) -> datetime | None:
    return datetime.fromisoformat(iso) if iso else None
