"""Publishes fetched articles, and only then saves the crawl state of their pages.

If the validators of a page were saved before its article is published, a crash in between would hide the article
permanently: the server would report that the page has not changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from bot.articles.article import Article
from bot.crawler.feed_poller import CrawlResult, PollResult
from bot.crawler.page_fetch import PageResult
from bot.crawler.store import CrawlStore, InFlight, page_key
from bot.ingestion.pipeline import IngestReport, ingest
from bot.services import Services
from bot.storage.models import ArticleFingerprint


class CrawlWriter:
    """Writes articles to the article store, then the state of pages and feeds."""

    def __init__(
        self,
        services: Services,
        store: CrawlStore,
        in_flight: InFlight,
        *,
        on_wait: Callable[[], None] = lambda: None,
    ) -> None:
        self._services = services
        self._store = store
        self._in_flight = in_flight
        self._on_wait = on_wait

    def save(self, found: Sequence[CrawlResult]) -> IngestReport:
        """Publish articles and retractions, then save the crawl state; return a report of the changes."""
        report = IngestReport()
        try:
            results = self._drop_duplicates([one for one in found if isinstance(one, PageResult)])
            self._publish(results, report)
            self._store.put_pages(result.record for result in results if _should_save(result))
            for one in found:
                if isinstance(one, PollResult) and one.record:
                    self._save_feed(one)
        finally:
            self._in_flight.end(one.record.key for one in found if isinstance(one, PageResult))
        report.skipped += [one.skipped for one in found if one.skipped]
        return report

    def _publish(self, results: Sequence[PageResult], report: IngestReport) -> None:
        articles = [result.article for result in results if result.article]
        known = self._services.articles.fingerprints(article.id for article in articles)
        fresh = [article for article in articles if not _is_known(article, known)]
        retired = self._find_removed_articles(results)
        still = (
            v
            for v in results
            if not (v.article or v.skipped or v.removed_article_id or v.record.state == "forgotten")
        )
        report.unchanged += len(articles) - len(fresh) + sum(1 for _ in still)
        if not fresh and not retired:
            return
        with self._services.index_writer(on_wait=self._on_wait) as indexer:
            if fresh:
                report.add(ingest(indexer, self._services.articles, fresh))
            if retired:
                indexer.publish(retired=retired)
                report.removed += len(retired)

    def _drop_duplicates(self, results: Sequence[PageResult]) -> list[PageResult]:
        """Keep one page for each article, because two pages would replace each other's text again and again.

        This is the page at the article's canonical URL, else the page that was first: the second page of a long
        article or its mobile page may contain less text.
        """
        source_pages = self._store.source_pages(result.article.id for result in results if result.article)
        replaced, kept = set[str](), []
        for result in sorted(results, key=lambda one: not _is_canonical(one)):
            key = result.record.key
            first = source_pages.setdefault(result.article.id, key) if result.article else key
            if result.article and first != key and _is_canonical(result):
                replaced.add(first)
                source_pages[result.article.id] = key
            elif first != key:
                kept.append(PageResult(record=replace(result.record, state="copy", due=None)))
                continue
            kept.append(result)
        others = self._store.pages(replaced - {result.record.key for result in results if result.article})
        return [*kept, *(PageResult(record=replace(one, state="copy", due=None)) for one in others.values())]

    def _find_removed_articles(self, results: Iterable[PageResult]) -> list[str]:
        """Return the ids of articles to remove: published articles whose own page is gone."""
        wanted = {
            result.removed_article_id: result.record.key for result in results if result.removed_article_id
        }
        known = self._services.articles.fingerprints(wanted)
        source_pages = self._store.source_pages(wanted)
        return [
            article_id
            for article_id, key in wanted.items()
            if article_id in known
            and page_key(known[article_id].origin) == key == source_pages.get(article_id, key)
        ]

    def _save_feed(self, polled: PollResult) -> None:
        assert polled.record
        if polled.moved_from:
            self._store.put_feed(polled.record, moved_from=polled.moved_from)
        else:
            self._store.update_feed(polled.record)


def _is_known(article: Article, known: dict[str, ArticleFingerprint]) -> bool:
    return article.id in known and known[article.id] == ArticleFingerprint(
        article.content_hash, article.origin
    )


def _is_canonical(result: PageResult) -> bool:
    """Return True if the URL of the page is that of its article."""
    return bool(result.article and result.article.url and page_key(result.article.url) == result.record.key)


def _should_save(result: PageResult) -> bool:
    """Return True if the page is worth storing: a URL entered by hand without an article may be a typing error."""
    return bool(result.record.feed or result.record.article_id)
