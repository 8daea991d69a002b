"""Takes in what a reader found: passes over what is known, writes what is new, prunes what is gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from bot.articles.article import Article
from bot.articles.library import Library
from bot.articles.readers import Skipped
from bot.articles.records import Known
from bot.retrieval.indexer import Indexer

_READ_AHEAD = 200  # articles compared with the library at once
_BATCH_CHARS = 350_000  # of articles embedded and written at once: about 500 passages

Progress = Callable[["Report"], None]


@dataclass(slots=True)
class Report:
    """What an ingest has done so far: counts of articles, and every file or record that gave none."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    passages: int = 0
    seconds: float = 0.0
    skipped: list[Skipped] = field(default_factory=list)

    @property
    def read(self) -> int:
        """How many articles were read."""
        return self.added + self.changed + self.unchanged

    @property
    def failures(self) -> list[Skipped]:
        """What was skipped and should not have been."""
        return [skip for skip in self.skipped if not skip.expected]


def ingest(
    indexer: Indexer,
    library: Library,
    found: Iterable[Article | Skipped],
    *,
    prune: Sequence[Path] = (),
    progress: Progress = lambda report: None,
) -> Report:
    """Bring what a reader found into the library and the indexes, article by article in their order.

    An article whose content hash is known is passed over. `prune` names the files and folders that were
    read: articles that came from below them and were not found again are removed; those of a file in which
    something could not be read are kept.
    """
    report, begun, seen = Report(), time.monotonic(), dict[str, str]()
    for articles in _fresh(library, found, seen, report):
        report.passages += indexer.write(articles)
        if indexer.is_due:
            indexer.publish()
        report.seconds = time.monotonic() - begun
        progress(report)
    gone = _gone(library, prune, seen, report) if prune else []
    indexer.publish(retired=gone)
    report.removed = len(gone)
    report.seconds = time.monotonic() - begun
    return report


def _fresh(
    library: Library, found: Iterable[Article | Skipped], seen: dict[str, str], report: Report
) -> Iterator[list[Article]]:
    """Yield the articles that are new or changed, in batches to write at once; count all others."""
    batch: list[Article] = []
    size = 0
    rest = iter(found)
    while ahead := list(islice(rest, _READ_AHEAD)):
        for article in _compared(library, list(_first_of_each(ahead, seen, report)), report):
            batch.append(article)
            size += len(article.text)
            if size >= _BATCH_CHARS:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch


def _compared(library: Library, articles: Sequence[Article], report: Report) -> Iterator[Article]:
    """Count each article as added, changed or unchanged, and pass on all but the unchanged."""
    known = library.known(article.id for article in articles)
    unchanged = {article.id: article.origin for article in articles if _same(article, known)}
    library.move({key: origin for key, origin in unchanged.items() if known[key].origin != origin})
    report.unchanged += len(unchanged)
    for article in articles:
        if article.id in known and article.id not in unchanged:
            report.changed += 1
            yield article
        elif article.id not in known:
            report.added += 1
            yield article


def _same(article: Article, known: dict[str, Known]) -> bool:
    return article.id in known and known[article.id].content_hash == article.content_hash


def _first_of_each(
    ahead: Iterable[Article | Skipped], seen: dict[str, str], report: Report
) -> Iterator[Article]:
    """Pass on the first article of each id in this run: two texts under one id would replace each other forever."""
    for item in ahead:
        if isinstance(item, Skipped):
            report.skipped.append(item)
        elif item.id not in seen:
            seen[item.id] = item.content_hash
            yield item
        elif seen[item.id] == item.content_hash:
            report.unchanged += 1
        else:
            reason = f"{item.url or item.id}: another text under the same address was read before it"
            report.skipped.append(Skipped(item.origin, None, reason))


def _gone(library: Library, roots: Sequence[Path], seen: dict[str, str], report: Report) -> list[str]:
    """Return the ids of articles that came from below `roots` and were not found again."""
    folders = [root.resolve() for root in roots]
    unsure = {str(Path(skip.file).resolve()) for skip in report.failures}
    return [
        article_id
        for article_id, origin in library.origins().items()
        if article_id not in seen
        and origin not in unsure
        and any(Path(origin).is_relative_to(folder) for folder in folders)
    ]
