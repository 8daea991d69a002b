"""What readers ask of the library: its articles as they see them, their passages, and what the indexes are made of."""

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
from bot.storage.database import chunks, open_engine, translated
from bot.storage.models import (
    ArticleSummary,
    ArticleVersion,
    Outlet,
    PendingVersion,
    StoreStats,
    VectorCollection,
)
from bot.storage.schema import articles, changes, collections, facts, passages, versions

PAGE = 2_000  # rows read at once where what is read meanwhile changes

visible = and_(articles.c.id == versions.c.article_id, articles.c.version == versions.c.version)
visible_passage = and_(articles.c.id == passages.c.article_id, articles.c.version == passages.c.version)
_HEADLINE: tuple[ColumnElement[Any], ...] = (
    versions.c.article_id,
    versions.c.version,
    versions.c.title,
    versions.c.source,
    versions.c.published,
    versions.c.url,
    versions.c.author,
)


class ArticleReader:
    """What a library shows; safe to share between threads."""

    def __init__(self, url: str, *, lock_file: Path | None) -> None:
        """Open the library at a SQLAlchemy URL and bring its schema up to date. Raises DatabaseError.

        Without a lock file it is opened as it is, of whatever schema.
        """
        self._engine = open_engine(url)
        with translated(self._engine):
            if lock_file:
                lock_file.parent.mkdir(parents=True, exist_ok=True)
                with FileLock(lock_file):  # two processes may meet a new library in the same moment
                    migrations.migrate(self._engine)
            self.library_id = self._fact("library_id")

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()

    @contextlib.contextmanager
    def connect(self) -> Iterator[Connection]:
        """Open a connection to read with."""
        with translated(self._engine), self._engine.connect() as connection:
            yield connection

    def generation(self) -> int:
        """Return a number that rises with every change of what readers see."""
        return int(self._fact("generation"))

    def schema_version(self) -> int:
        """Return the number of the last step that its schema was brought up by."""
        with self.connect() as connection:
            return migrations.schema_version(connection)

    def totals(self) -> StoreStats:
        """Count the visible articles and passages."""
        query = select(func.count()).select_from(passages).join(articles, visible_passage)
        with self.connect() as connection:
            found = connection.scalar(query) or 0
        return StoreStats(articles=self.count(), passages=found)

    def count(self) -> int:
        """Count the visible articles."""
        with self.connect() as connection:
            return connection.scalar(select(func.count()).where(articles.c.version.is_not(None))) or 0

    def is_empty(self) -> bool:
        """Say whether there is no visible article, without counting them."""
        with self.connect() as connection:
            query = select(articles.c.id).where(articles.c.version.is_not(None))
            return connection.execute(query.limit(1)).first() is None

    def oldest(self) -> datetime | None:
        """Return when the oldest visible article was published; None where none has a date."""
        return self._published(versions.c.published.asc())

    def newest(self) -> datetime | None:
        """Return when the newest visible article was published; None where none has a date."""
        return self._published(versions.c.published.desc())

    def sources(self) -> list[Outlet]:
        """Return the outlets of the visible articles, that with the most first; articles may name none."""
        count = func.count()
        query = select(versions.c.source, count).join(articles, visible).where(versions.c.source != "")
        with self.connect() as connection:
            rows = connection.execute(query.group_by(versions.c.source)).all()
        return sorted((Outlet(*row) for row in rows), key=lambda outlet: (-outlet.articles, outlet.name))

    def content_hash(self) -> str:
        """Return a hash over all visible articles, the same for the same articles in whatever library."""
        digest = hashlib.sha256()
        for article_id, content_hash in self.hashes():
            digest.update(f"{article_id}\n{content_hash}\n".encode())
        return digest.hexdigest()

    def hashes(self) -> Iterator[tuple[str, str]]:
        """Yield each visible article's id and content hash, ordered by id."""
        query = select(articles.c.id, versions.c.content_hash).join(versions, visible)
        with self.connect() as connection:
            for row in connection.execution_options(yield_per=PAGE).execute(query.order_by(articles.c.id)):
                yield row.id, row.content_hash

    def collection(self, fingerprint: str) -> VectorCollection | None:
        """Return where the vectors of a model stand, or None where they would have to be made."""
        return next((found for found in self.collections() if found.fingerprint == fingerprint), None)

    def collections(self) -> list[VectorCollection]:
        """Return every complete collection of vectors."""
        with self.connect() as connection:
            return [VectorCollection(*row) for row in connection.execute(select(collections))]

    def list_articles(self) -> Iterator[ArticleSummary]:
        """Yield the visible articles, newest first, those without a date last."""
        query = select(*_HEADLINE).join(articles, visible)
        with self.connect() as connection:
            for row in connection.execute(
                query.order_by(
                    versions.c.published.is_(None), versions.c.published.desc(), versions.c.article_id
                )
            ):
                yield _headline(row)

    def article(self, article_id: str, version: int | None = None) -> Article | None:
        """Return the visible version of an article, or the one that is named."""
        query = select(versions, articles.c.origin).join(articles, articles.c.id == versions.c.article_id)
        number = articles.c.version if version is None else version
        with self.connect() as connection:
            row = connection.execute(
                query.where(articles.c.id == article_id, versions.c.version == number)
            ).first()
        return _article(row) if row else None

    def article_version(self, article_id: str, version: int | None = None) -> ArticleVersion | None:
        """Return a version that readers see or saw, by default what they see now; None where there is none."""
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
        # Those of an older version are forgotten; they are cut the same again.
        passages = tuple(split_passages(article_id, version, article.text))
        return ArticleVersion(article, version, passages, newest, self._written(article_id, newest.version))

    def is_withdrawn(self, article_id: str) -> bool:
        """Say whether readers saw this article once and do not any more."""
        seen = select(changes.c.article_id).where(changes.c.article_id == article_id)
        visible = select(articles.c.id).where(articles.c.id == article_id, articles.c.version.is_not(None))
        with self.connect() as connection:
            return bool(connection.execute(seen).first()) and not connection.execute(visible).first()

    def link_key(self) -> str:
        """Return what seals the links to evidence pages, in hexadecimal digits; secret."""
        return self._fact("link_key")

    def find(self, reference: str) -> str | None:
        """Return the id of the article that an id or URL names, or None."""
        wanted = reference.strip()
        query = select(articles.c.id).join(versions, visible)
        query = query.where(or_(articles.c.id == wanted, versions.c.canonical_url == canonical_url(wanted)))
        with self.connect() as connection:
            found = [row.id for row in connection.execute(query.order_by(articles.c.id))]
        return wanted if wanted in found else next(iter(found), None)

    def passages(self, passage_ids: Sequence[str]) -> dict[str, tuple[Passage, ArticleSummary]]:
        """Return the visible ones of these passages by id, each with its article's headline."""
        length = passages.c.end - passages.c.start
        query = (
            select(passages.c.id, passages.c.start, passages.c.end, *_HEADLINE)
            .add_columns(func.substr(versions.c.text, passages.c.start + 1, length).label("slice"))
            .join(articles, visible_passage)
            .join(versions, visible)
        )
        found = {}
        with self.connect() as connection:
            for chunk in chunks(passage_ids):
                for row in connection.execute(query.where(passages.c.id.in_(chunk))):
                    passage = Passage(row.id, row.article_id, row.start, row.end, row.slice)
                    found[row.id] = (passage, _headline(row))
        return found

    def iter_versions(self, article_ids: Iterable[str] | None = None) -> Iterator[PendingVersion]:
        """Yield the visible ones of these articles with their passages, or all: what an index is rebuilt from."""
        query = select(versions, articles.c.origin).join(articles, visible).order_by(articles.c.id)
        if article_ids is None:
            yield from self._drafts(query)
        else:
            for chunk in chunks(article_ids):
                yield from self._drafts(query.where(articles.c.id.in_(chunk)))

    def changed_since(self, generation: int) -> list[str]:
        """Return the ids of the articles that came, changed or went after this generation."""
        with self.connect() as connection:
            return list(
                connection.scalars(select(changes.c.article_id).where(changes.c.generation > generation))
            )

    # Within

    def _drafts(self, query: Select[Any]) -> Iterator[PendingVersion]:
        with self.connect() as connection:
            for rows in connection.execution_options(yield_per=100).execute(query).partitions():
                found = [(_article(row), row.version) for row in rows]
                cut = self._passages_of(connection, found)
                yield from (
                    PendingVersion(article, version, tuple(cut[article.id])) for article, version in found
                )

    def _passages_of(
        self, connection: Connection, found: Sequence[tuple[Article, int]]
    ) -> dict[str, list[Passage]]:
        """Return the passages of these versions by article, in their order."""
        key = tuple_(passages.c.article_id, passages.c.version)
        query = select(passages).where(key.in_([(article.id, version) for article, version in found]))
        texts = {article.id: article.text for article, _ in found}
        cut: dict[str, list[Passage]] = {article_id: [] for article_id in texts}
        for row in connection.execute(query.order_by(passages.c.start)):
            text = texts[row.article_id][row.start : row.end]
            cut[row.article_id].append(Passage(row.id, row.article_id, row.start, row.end, text))
        return cut

    def _written(self, article_id: str, version: int) -> datetime | None:
        query = select(versions.c.written).where(versions.c.article_id == article_id)
        with self.connect() as connection:
            return _moment(connection.scalar(query.where(versions.c.version == version)))

    def _published(self, order: ColumnElement[Any]) -> datetime | None:
        """Return the first date in this order; along its index, where a minimum would read every article."""
        dated = select(versions.c.published).join(articles, visible).where(versions.c.published.is_not(None))
        with self.connect() as connection:
            return _moment(connection.scalar(dated.order_by(order).limit(1)))

    def _rows(self, query: Select[Any]) -> Sequence[Row[Any]]:
        with self.connect() as connection:
            return connection.execute(query).all()

    def _fact(self, key: str) -> str:
        with self.connect() as connection:
            return str(connection.scalar(select(facts.c.value).where(facts.c.key == key)))


def _article(row: Row[Any]) -> Article:
    return Article(
        id=row.article_id,
        text=row.text,
        title=row.title,
        url=row.url,
        published=_moment(row.published),
        source=row.source,
        tags=tuple(row.tags),
        author=row.author,
        origin=row.origin,
        pages=tuple(row.pages),
    )


def _headline(row: Row[Any]) -> ArticleSummary:
    moment = _moment(row.published)
    return ArticleSummary(row.article_id, row.version, row.title, row.source, moment, row.url, row.author)


def _moment(iso: str | None) -> datetime | None:
    return datetime.fromisoformat(iso) if iso else None
