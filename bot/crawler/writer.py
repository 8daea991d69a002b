"""Puts away what visits have led to: articles first, and only then what is remembered of their pages.

A page's validators that were remembered before its article is published would hide it for ever after a crash: the
server would say that nothing has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from bot.articles.article import Article
from bot.crawler.feed_poller import Found, PollResult
from bot.crawler.page_fetch import PageResult
from bot.crawler.store import CrawlStore, InFlight, page_key
from bot.ingestion.pipeline import IngestReport, ingest
from bot.services import Services
from bot.storage.models import ArticleFingerprint


class CrawlWriter:
    """Takes articles into the library, and notes what came of pages and feeds."""

    def __init__(
        self,
        workspace: Services,
        ledger: CrawlStore,
        in_flight: InFlight,
        *,
        on_wait: Callable[[], None] = lambda: None,
    ) -> None:
        self._workspace = workspace
        self._ledger = ledger
        self._in_flight = in_flight
        self._on_wait = on_wait

    def save(self, found: Sequence[Found]) -> IngestReport:
        """Publish the articles and retractions, then remember all else; return what this has changed."""
        report = IngestReport()
        try:
            visits = self._drop_duplicates([one for one in found if isinstance(one, PageResult)])
            self._publish(visits, report)
            self._ledger.put_pages(visit.record for visit in visits if _is_remembered(visit))
            for one in found:
                if isinstance(one, PollResult) and one.record:
                    self._note_feed(one)
        finally:
            self._in_flight.end(one.record.key for one in found if isinstance(one, PageResult))
        report.skipped += [one.skipped for one in found if one.skipped]
        return report

    def _publish(self, visits: Sequence[PageResult], report: IngestReport) -> None:
        articles = [visit.article for visit in visits if visit.article]
        known = self._workspace.articles.fingerprints(article.id for article in articles)
        fresh = [article for article in articles if not _is_known(article, known)]
        retired = self._retired(visits)
        still = (
            v
            for v in visits
            if not (v.article or v.skipped or v.removed_article_id or v.record.state == "forgotten")
        )
        report.unchanged += len(articles) - len(fresh) + sum(1 for _ in still)
        if not fresh and not retired:
            return
        with self._workspace.index_writer(on_wait=self._on_wait) as indexer:
            if fresh:
                report.add(ingest(indexer, self._workspace.articles, fresh))
            if retired:
                indexer.publish(retired=retired)
                report.removed += len(retired)

    def _drop_duplicates(self, visits: Sequence[PageResult]) -> list[PageResult]:
        """Let one page keep each article: two would replace each other's text for ever.

        It is the page at the article's own address, else the one that has brought it first: what a second page of a
        long article or one for telephones shows may be less.
        """
        bringers = self._ledger.source_pages(visit.article.id for visit in visits if visit.article)
        replaced, kept = set[str](), []
        for visit in sorted(visits, key=lambda one: not _is_canonical(one)):
            key = visit.record.key
            first = bringers.setdefault(visit.article.id, key) if visit.article else key
            if visit.article and first != key and _is_canonical(visit):
                replaced.add(first)
                bringers[visit.article.id] = key
            elif first != key:
                kept.append(PageResult(record=replace(visit.record, state="copy", due=None)))
                continue
            kept.append(visit)
        others = self._ledger.pages(replaced - {visit.record.key for visit in visits if visit.article})
        return [*kept, *(PageResult(record=replace(one, state="copy", due=None)) for one in others.values())]

    def _retired(self, visits: Iterable[PageResult]) -> list[str]:
        """Return the articles that are to disappear: those that readers have from the very page that is gone."""
        wanted = {visit.removed_article_id: visit.record.key for visit in visits if visit.removed_article_id}
        known = self._workspace.articles.fingerprints(wanted)
        bringers = self._ledger.source_pages(wanted)
        return [
            article_id
            for article_id, key in wanted.items()
            if article_id in known
            and page_key(known[article_id].origin) == key == bringers.get(article_id, key)
        ]

    def _note_feed(self, polled: PollResult) -> None:
        assert polled.record
        if polled.before:
            self._ledger.put_feed(polled.record, before=polled.before)
        else:
            self._ledger.put_known_feed(polled.record)


def _is_known(article: Article, known: dict[str, ArticleFingerprint]) -> bool:
    return article.id in known and known[article.id] == ArticleFingerprint(
        article.content_hash, article.origin
    )


def _is_canonical(visit: PageResult) -> bool:
    """Say whether a page's address is the one that its article is known by."""
    return bool(visit.article and visit.article.url and page_key(visit.article.url) == visit.record.key)


def _is_remembered(visit: PageResult) -> bool:
    """Say whether a page is worth a row: one that was named by hand and gave nothing may be a slip of the hand."""
    return bool(visit.record.feed or visit.record.article_id)
