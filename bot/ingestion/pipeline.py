"""Takes in what a reader found: passes over what is known, writes what is new, prunes what is gone."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bot.articles.article import Article
from bot.indexing.index_writer import IndexWriter, batch_by_passages, run_overlapped
from bot.ingestion.loaders import Skipped
from bot.storage.article_store import ArticleStore
from bot.storage.database import chunks
from bot.storage.models import ArticleFingerprint, PendingVersion

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_AHEAD, _AHEAD_CHARS = 200, 1_000_000  # articles compared with the library at once, and their characters
_RETIRED = 10_000  # articles removed in one transaction

Progress = Callable[["IngestReport"], None]
_CACHE_KIB = 16_000


@dataclass(slots=True)
class IngestReport:
    """What an ingest has done so far: counts of articles, and every file or record that gave none."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    passages: int = 0
    seconds: float = 0.0
    skipped: list[Skipped] = field(default_factory=list)

    def add(self, other: IngestReport) -> None:
        """Count what another ingest has done too."""
        for name in ("added", "changed", "unchanged", "removed", "passages", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.skipped += other.skipped

    @property
    def read(self) -> int:
        """How many articles were read."""
        return self.added + self.changed + self.unchanged

    @property
    def failures(self) -> list[Skipped]:
        """What was skipped and should not have been."""
        return [skip for skip in self.skipped if not skip.expected]


def ingest(
    indexer: IndexWriter,
    library: ArticleStore,
    found: Iterable[Article | Skipped],
    *,
    prune: Sequence[Path] = (),
    progress: Progress = lambda report: None,
) -> IngestReport:
    """Bring what a reader found into the library and the indexes, article by article in their order.

    An article whose content hash is known is passed over. `prune` names the files and folders that were
    read: articles that came from below them and were not found again are removed; those of a file in which
    something could not be read are kept.
    """
    report, begun = IngestReport(), time.monotonic()

    def encode(drafts: list[PendingVersion]) -> NDArray[np.float32]:
        vectors = indexer.encode(drafts)
        report.passages += len(vectors)
        report.seconds = time.monotonic() - begun
        progress(report)
        return vectors

    def commit(drafts: list[PendingVersion], vectors: NDArray[np.float32]) -> None:
        indexer.commit(drafts, vectors)
        if indexer.is_due:
            indexer.publish()

    with closing(SeenArticles()) as seen:
        run_overlapped(batch_by_passages(_drafts(indexer, library, found, seen, report)), encode, commit)
        for gone in chunks(_removed_ids(library, prune, seen, report), _RETIRED):
            indexer.publish(retired=gone)
            report.removed += len(gone)
    indexer.publish()
    report.seconds = time.monotonic() - begun
    return report


def _drafts(
    indexer: IndexWriter,
    library: ArticleStore,
    found: Iterable[Article | Skipped],
    seen: SeenArticles,
    report: IngestReport,
) -> Iterator[PendingVersion]:
    """Yield the articles that are new or changed, cut into passages; count all others."""
    for ahead in _batches(_deduplicate(found, seen, report)):
        fresh = list(_skip_unchanged(library, ahead, report))
        if fresh:
            yield from indexer.prepare(fresh)


def _batches(articles: Iterable[Article]) -> Iterator[list[Article]]:
    group: list[Article] = []
    size = 0
    for article in articles:
        group.append(article)
        size += len(article.text)
        if len(group) >= _AHEAD or size >= _AHEAD_CHARS:
            yield group
            group, size = [], 0
    if group:
        yield group


def _skip_unchanged(
    library: ArticleStore, articles: Sequence[Article], report: IngestReport
) -> Iterator[Article]:
    """Count each article as added, changed or unchanged, and pass on all but the unchanged."""
    known = library.fingerprints(article.id for article in articles)
    unchanged = {article.id: article.origin for article in articles if _same(article, known)}
    library.update_origins({key: origin for key, origin in unchanged.items() if known[key].origin != origin})
    report.unchanged += len(unchanged)
    for article in articles:
        if article.id in known and article.id not in unchanged:
            report.changed += 1
            yield article
        elif article.id not in known:
            report.added += 1
            yield article


def _same(article: Article, known: dict[str, ArticleFingerprint]) -> bool:
    return article.id in known and known[article.id].content_hash == article.content_hash


def _deduplicate(
    found: Iterable[Article | Skipped], seen: SeenArticles, report: IngestReport
) -> Iterator[Article]:
    """Pass on the first article of each id in this run: two texts under one id would replace each other forever."""
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
    library: ArticleStore, roots: Sequence[Path], seen: SeenArticles, report: IngestReport
) -> Iterator[str]:
    """Yield the ids of articles that came from below `roots` and were not found again."""
    if not roots:
        return
    folders = [root.resolve() for root in roots]
    unsure = {str(Path(skip.file).resolve()) for skip in report.failures}
    for article_id, origin in library.origins():
        if (
            article_id not in seen
            and origin not in unsure
            and any(Path(origin).is_relative_to(folder) for folder in folders)
        ):
            yield article_id


class SeenArticles:
    """The ids and content hashes of the articles of one run; gone when it is closed, or its process dies."""

    def __init__(self) -> None:
        # "" is a file that SQLite removes as soon as it is open. One thread after another uses it.
        self._table = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for statement in (
            "PRAGMA journal_mode=OFF",  # nobody reads it after a crash
            f"PRAGMA cache_size=-{_CACHE_KIB}",
            "CREATE TABLE seen (id TEXT PRIMARY KEY, content_hash TEXT NOT NULL) WITHOUT ROWID",
        ):
            self._table.execute(statement)

    def __contains__(self, article_id: str) -> bool:
        return self._hash(article_id) is not None

    def add(self, article: Article) -> str | None:
        """Note an article; return the content hash noted under its id before, None where it is the first."""
        before = self._hash(article.id)
        if before is None:
            self._table.execute("INSERT INTO seen VALUES (?, ?)", (article.id, article.content_hash))
        return before

    def close(self) -> None:
        """Forget everything."""
        self._table.close()

    def _hash(self, article_id: str) -> str | None:
        row = self._table.execute("SELECT content_hash FROM seen WHERE id = ?", (article_id,)).fetchone()
        return str(row[0]) if row else None
