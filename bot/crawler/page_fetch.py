"""Fetches one page and classifies the result: article, unchanged, retracted or failed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import httpx

from bot.articles.article import Article
from bot.crawler import scheduling
from bot.crawler.fetcher import Fetcher, FetchResult
from bot.crawler.page_article import article_from_entry, article_from_page
from bot.crawler.politeness import CrawlStopped
from bot.crawler.store import STATES_WITH_ARTICLE, PageRecord
from bot.errors import CitewireError, FetchError, FetchForbiddenError, ParseError
from bot.ingestion.html.extract import PAGE_NOT_FOUND
from bot.ingestion.loaders import Skipped
from bot.storage.article_store import ArticleStore

logger = logging.getLogger(__name__)

_MIN_FULL_TEXT_CHARS = 500  # of the content of a feed entry that can be a whole article
# Statuses after which a retry would not get the page's text either.
_CLOSED_STATUSES = (httpx.codes.UNAUTHORIZED, httpx.codes.PAYMENT_REQUIRED, httpx.codes.FORBIDDEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageResult:
    """Result of fetching a page, with the page state to save after the article is published."""

    record: PageRecord
    article: Article | None = None
    skipped: Skipped | None = None
    removed_article_id: str = ""  # article to remove from the store


class PageFetcher:
    """Fetches pages and updates their records; safe to share between threads."""

    def __init__(self, fetcher: Fetcher, store: ArticleStore, *, clock: Callable[[], float]) -> None:
        self._fetcher = fetcher
        self._store = store
        self._clock = clock

    def fetch_page(
        self, record: PageRecord, *, source: str = "", content: str = "", user_requested: bool = False
    ) -> PageResult:
        """Fetch a page if it has changed.

        Args:
            record: state of the page.
            source: source given by the user.
            content: content of its feed entry as HTML; used if the page itself has no text.
            user_requested: also fetch a page whose article the user removed, or which is gone.

        Raises:
            CrawlStopped: if the crawl is shutting down.
        """
        known = bool(record.article_id) and record.article_id in self._store.fingerprints([record.article_id])
        # An article from the page itself is kept while the page cannot be fetched.
        keeps_article = known and record.state != "entry"
        if record.state in STATES_WITH_ARTICLE and record.article_id and not (known or user_requested):
            return PageResult(record=replace(record, state="forgotten", due=None))
        try:
            return self._fetch(record, source, content, conditional=known)
        except (FetchError, ParseError) as exc:
            return self._handle_no_article(record, exc, source, content, keeps_article=keeps_article)
        except (CitewireError, CrawlStopped):
            raise
        except Exception as exc:
            logger.exception("%s", record.url)
            return self._handle_failure(record, FetchError(f"it cannot be read ({type(exc).__name__})"))

    def _fetch(self, record: PageRecord, source: str, content: str, *, conditional: bool) -> PageResult:
        etag, modified = (record.etag, record.last_modified) if conditional else ("", "")
        page = self._fetcher.get(record.url, etag=etag, last_modified=modified, validators_url=record.found)
        if page.is_unchanged:
            return PageResult(
                record=self._build_updated_record(record, "copy" if record.state == "copy" else "ok")
            )
        if _is_front_page(page.url) and not _is_front_page(record.url):
            return self._handle_missing(record, "it redirects to the site's front page")
        before = self._store.article(record.article_id) if conditional else None
        article = article_from_page(
            page,
            metadata=record.about,
            origin=record.url,
            source=source,
            previous_text=before.text if before else "",
        )
        return PageResult(
            record=self._build_updated_record(record, "ok", article, page),
            article=article,
            removed_article_id=self._find_replaced_article(record, article),
        )

    def _handle_no_article(
        self,
        record: PageRecord,
        exc: FetchError | ParseError,
        source: str,
        content: str,
        *,
        keeps_article: bool,
    ) -> PageResult:
        """Classify a page without an article; `keeps_article` if an earlier article from the page is kept."""
        status = exc.status if isinstance(exc, FetchError) else 0
        if status == httpx.codes.GONE:
            return self._handle_gone(record, str(exc))
        if status == httpx.codes.NOT_FOUND or (isinstance(exc, ParseError) and exc.reason == PAGE_NOT_FOUND):
            return self._handle_missing(record, str(exc))
        closed = status in _CLOSED_STATUSES or isinstance(exc, FetchForbiddenError)
        if not keeps_article and (isinstance(exc, ParseError) or (content and closed)):
            return self._use_feed_content(record, source, content, str(exc))
        return self._handle_failure(record, exc)

    def _use_feed_content(self, record: PageRecord, source: str, content: str, reason: str) -> PageResult:
        """Use the article in the feed entry; if there is none, the page is rechecked when its entry changes."""
        try:
            article = (
                article_from_entry(
                    content, record.url, metadata=record.about, origin=record.url, source=source
                )
                if len(content) >= _MIN_FULL_TEXT_CHARS
                else None
            )
        except ParseError:
            article = None
        if article and len(article.text) >= _MIN_FULL_TEXT_CHARS:
            now = self._build_updated_record(record, "entry", article)
            return PageResult(record=replace(now, due=None), article=article)
        seen = replace(self._build_updated_record(record, "empty"), due=None)
        # Feeds also list videos and galleries, which are not articles.
        return PageResult(record=seen, skipped=Skipped(record.url, None, reason, expected=bool(record.feed)))

    def _build_updated_record(
        self, record: PageRecord, state: str, article: Article | None = None, page: FetchResult | None = None
    ) -> PageRecord:
        now = self._clock()
        return replace(
            record,
            state=state,
            article_id=article.id if article else record.article_id,
            found=page.url if page else record.found,
            etag=page.etag if page else record.etag,
            last_modified=page.last_modified if page else record.last_modified,
            checked=now,
            due=scheduling.next_recheck(first_seen=record.first_seen, now=now),
            misses=0,
        )

    def _find_replaced_article(self, record: PageRecord, article: Article) -> str:
        """Return the id of the article that the page had under another URL, if it is the same article."""
        if not record.article_id or record.article_id == article.id:
            return ""
        before = self._store.article(record.article_id)
        return before.id if before and before.title == article.title else ""

    def _handle_gone(self, record: PageRecord, reason: str) -> PageResult:
        now = self._clock()
        gone = replace(record, state="gone", checked=now, due=None, etag="", last_modified="")
        if record.article_id:
            return PageResult(record=gone, removed_article_id=record.article_id)
        return PageResult(record=gone, skipped=Skipped(record.url, None, reason))

    def _handle_missing(self, record: PageRecord, reason: str) -> PageResult:
        """Record that a page was not found; its article is removed only if this lasts."""
        failed = self._build_failed_record(record, "missing")
        if scheduling.is_gone(misses=failed.misses, missed=failed.missed, now=failed.checked):
            return self._handle_gone(failed, reason)
        return PageResult(record=failed, skipped=Skipped(record.url, None, reason))

    def _handle_failure(self, record: PageRecord, exc: FetchError | ParseError) -> PageResult:
        failed = self._build_failed_record(
            record, "failing", wait=exc.wait if isinstance(exc, FetchError) else 0.0
        )
        if isinstance(exc, FetchForbiddenError):
            failed = replace(failed, due=None)
        return PageResult(record=failed, skipped=Skipped(record.url, None, str(exc)))

    def _build_failed_record(self, record: PageRecord, state: str, *, wait: float = 0.0) -> PageRecord:
        now = self._clock()
        repeated = record.state == state
        misses = record.misses + 1 if repeated else 1
        due = scheduling.next_retry(first_seen=record.first_seen, now=now, misses=misses, wait=wait)
        missed = record.missed if repeated else now
        return replace(record, state=state, checked=now, due=due, misses=misses, missed=missed)


def _is_front_page(url: str) -> bool:
    parts = urlsplit(url)
    return not parts.path.strip("/") and not parts.query
