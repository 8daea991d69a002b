"""Incremental ingest: skip unchanged articles, embed and write new ones, prune removed ones."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bot.articles.article import Article
from bot.indexing.index_writer import IndexWriter, batch_by_passages, run_concurrent_stages
from bot.ingestion.loaders import Skipped
from bot.storage.article_store import ArticleStore
from bot.storage.database import chunks
from bot.storage.models import ArticleFingerprint, PendingVersion

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Limits of a batch of articles that are compared with the article store in one query.
_MAX_BATCH_ARTICLES, _MAX_BATCH_CHARS = 200, 1_000_000
_REMOVAL_BATCH_SIZE = 10_000  # articles removed in one transaction

Progress = Callable[["IngestReport"], None]
_CACHE_KIB = 16_000


@dataclass(slots=True)
class IngestReport:
    """Progress of an ingest: counts of articles, and the files and records that were skipped."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    passages: int = 0
    seconds: float = 0.0
    skipped: list[Skipped] = field(default_factory=list)

    def add(self, other: IngestReport) -> None:
        """Add the counts of another ingest."""
        for name in ("added", "changed", "unchanged", "removed", "passages", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.skipped += other.skipped

    @property
    def read(self) -> int:
        """Number of articles read."""
        return self.added + self.changed + self.unchanged

    @property
    def failures(self) -> list[Skipped]:
        """Files and records that were skipped because of an error."""
        return [skip for skip in self.skipped if not skip.expected]


def ingest(
    indexer: IndexWriter,
    store: ArticleStore,
    found: Iterable[Article | Skipped],
    *,
    prune: Sequence[Path] = (),
    progress: Progress = lambda report: None,
) -> IngestReport:
    """Write articles to the article store and the indexes, in order; unchanged articles are skipped.

    Args:
        indexer: writes articles, vectors and the keyword index.
        store: the article store.
        found: articles, and files and records that were skipped.
        prune: files and folders that were read. Articles from them that were not found again are removed, except
            those from a file with errors.
        progress: called with the report after each batch.

    Returns:
        Counts of articles and passages, and everything that was skipped.
    """
    report, started = IngestReport(), time.monotonic()

    def encode(versions: list[PendingVersion]) -> NDArray[np.float32]:
        vectors = indexer.encode(versions)
        report.passages += len(vectors)
        report.seconds = time.monotonic() - started
        progress(report)
        return vectors

    def commit(versions: list[PendingVersion], vectors: NDArray[np.float32]) -> None:
        indexer.commit(versions, vectors)
        if indexer.is_due:
            indexer.publish()

    with closing(SeenArticles()) as seen:
        run_concurrent_stages(
            batch_by_passages(_prepare_changed_articles(indexer, store, found, seen, report)), encode, commit
        )
        for gone in chunks(_removed_ids(store, prune, seen, report), _REMOVAL_BATCH_SIZE):
            indexer.publish(retired=gone)
            report.removed += len(gone)
    indexer.publish()
    report.seconds = time.monotonic() - started
    return report


def _prepare_changed_articles(
    indexer: IndexWriter,
    store: ArticleStore,
    found: Iterable[Article | Skipped],
    seen: SeenArticles,
    report: IngestReport,
) -> Iterator[PendingVersion]:
    """Yield new and changed articles, split into passages; count all others."""
    for ahead in _batches(_deduplicate(found, seen, report)):
        fresh = list(_skip_unchanged_articles(store, ahead, report))
        if fresh:
            yield from indexer.prepare(fresh)


def _batches(articles: Iterable[Article]) -> Iterator[list[Article]]:
    group: list[Article] = []
    size = 0
    for article in articles:
        group.append(article)
        size += len(article.text)
        if len(group) >= _MAX_BATCH_ARTICLES or size >= _MAX_BATCH_CHARS:
            yield group
            group, size = [], 0
    if group:
        yield group


def _skip_unchanged_articles(
    store: ArticleStore, articles: Sequence[Article], report: IngestReport
) -> Iterator[Article]:
    """Count each article as added, changed or unchanged; yield those added or changed."""
    known = store.fingerprints(article.id for article in articles)
    unchanged = {article.id: article.origin for article in articles if _is_unchanged(article, known)}
    store.update_origins({key: origin for key, origin in unchanged.items() if known[key].origin != origin})
    report.unchanged += len(unchanged)
    for article in articles:
        if article.id in known and article.id not in unchanged:
            report.changed += 1
            yield article
        elif article.id not in known:
            report.added += 1
            yield article


def _is_unchanged(article: Article, known: dict[str, ArticleFingerprint]) -> bool:
    return article.id in known and known[article.id].content_hash == article.content_hash


def _deduplicate(
    found: Iterable[Article | Skipped], seen: SeenArticles, report: IngestReport
) -> Iterator[Article]:
    """Yield the first article of each id in this run: two texts with one id would replace each other in every run."""
    for item in found:
        if isinstance(item, Skipped):
            report.skipped.append(item)
        elif (before := seen.add(item)) is None:
            yield item
        elif before == item.content_hash:
            report.unchanged += 1
        else:
            reason = f"{item.url or item.id}: another text under the same address was read before it"
            report.skipped.append(Skipped(item.origin, None, reason))


def _removed_ids(
    store: ArticleStore, roots: Sequence[Path], seen: SeenArticles, report: IngestReport
) -> Iterator[str]:
    """Yield the ids of articles from files below `roots` that were not found again."""
    if not roots:
        return
    folders = [root.resolve() for root in roots]
    unsure = {str(Path(skip.file).resolve()) for skip in report.failures}
    for article_id, origin in store.origins():
        if (
            article_id not in seen
            and origin not in unsure
            and any(Path(origin).is_relative_to(folder) for folder in folders)
        ):
            yield article_id


class SeenArticles:
    """On-disk set of the articles seen in this run, for collections larger than memory.

    It is deleted when it is closed or the process ends.
    """

    def __init__(self) -> None:
        # "" is a file that SQLite deletes as soon as it is open. Several threads use it, one after the other.
        self._table = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for statement in (
            "PRAGMA journal_mode=OFF",  # not needed after a crash
            f"PRAGMA cache_size=-{_CACHE_KIB}",
            "CREATE TABLE seen (id TEXT PRIMARY KEY, content_hash TEXT NOT NULL) WITHOUT ROWID",
        ):
            self._table.execute(statement)

    def __contains__(self, article_id: str) -> bool:
        return self._hash(article_id) is not None

    def add(self, article: Article) -> str | None:
        """Add an article; return the content hash of an earlier one with its id, or None if it is the first."""
        before = self._hash(article.id)
        if before is None:
            self._table.execute("INSERT INTO seen VALUES (?, ?)", (article.id, article.content_hash))
        return before

    def close(self) -> None:
        """Delete the set."""
        self._table.close()

    def _hash(self, article_id: str) -> str | None:
        row = self._table.execute("SELECT content_hash FROM seen WHERE id = ?", (article_id,)).fetchone()
        return str(row[0]) if row else None
