"""Visits one page: what came of it is an article, nothing new, a retraction, or a reason why there is none."""

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

_FULL_TEXT = 500  # characters from which what a feed holds can be a whole article
# Answers after which a page's text is not to be had later either.
_CLOSED = (httpx.codes.UNAUTHORIZED, httpx.codes.PAYMENT_REQUIRED, httpx.codes.FORBIDDEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageResult:
    """What a visit has led to, and what is to be remembered of the page once the article is published."""

    record: PageRecord
    article: Article | None = None
    skipped: Skipped | None = None
    removed_article_id: str = ""  # the article that is to disappear


class PageFetcher:
    """Visits pages; safe to share between threads."""

    def __init__(self, fetcher: Fetcher, library: ArticleStore, *, clock: Callable[[], float]) -> None:
        self._fetcher = fetcher
        self._library = library
        self._clock = clock

    def fetch_page(
        self, record: PageRecord, *, source: str = "", content: str = "", asked_for: bool = False
    ) -> PageResult:
        """Fetch a page if it has changed. Raises CrawlStopped.

        `content` is what its feed holds of it, used where the page itself gives no text. What the user has
        `asked_for` comes back though it was forgotten or gone.
        """
        known = bool(record.article_id) and record.article_id in self._library.fingerprints(
            [record.article_id]
        )
        # What the page itself has brought stays while the page is in trouble.
        held = known and record.state != "entry"
        if record.state in STATES_WITH_ARTICLE and record.article_id and not (known or asked_for):
            return PageResult(record=replace(record, state="forgotten", due=None))
        try:
            return self._fetched(record, source, content, conditional=known)
        except (FetchError, ParseError) as exc:
            return self._handle_no_article(record, exc, source, content, held=held)
        except (CitewireError, CrawlStopped):
            raise
        except Exception as exc:
            logger.exception("%s", record.url)
            return self._failing(record, FetchError(f"it cannot be read ({type(exc).__name__})"))

    def _fetched(self, record: PageRecord, source: str, content: str, *, conditional: bool) -> PageResult:
        etag, modified = (record.etag, record.last_modified) if conditional else ("", "")
        page = self._fetcher.get(record.url, etag=etag, last_modified=modified, found=record.found)
        if page.unchanged:
            return PageResult(record=self._updated_record(record, "copy" if record.state == "copy" else "ok"))
        if _is_front_page(page.url) and not _is_front_page(record.url):
            return self._missing(record, "it redirects to the site's front page")
        before = self._library.article(record.article_id) if conditional else None
        article = article_from_page(
            page,
            about=record.about,
            origin=record.url,
            source=source,
            before=before.text if before else "",
        )
        return PageResult(
            record=self._updated_record(record, "ok", article, page),
            article=article,
            removed_article_id=self._replaced(record, article),
        )

    def _handle_no_article(
        self, record: PageRecord, exc: FetchError | ParseError, source: str, content: str, *, held: bool
    ) -> PageResult:
        """Say what becomes of a page that gave no article; of one that has brought one before it is `held`."""
        status = exc.status if isinstance(exc, FetchError) else 0
        if status == httpx.codes.GONE:
            return self._gone(record, str(exc))
        if status == httpx.codes.NOT_FOUND or (isinstance(exc, ParseError) and exc.reason == PAGE_NOT_FOUND):
            return self._missing(record, str(exc))
        closed = status in _CLOSED or isinstance(exc, FetchForbiddenError)
        if not held and (isinstance(exc, ParseError) or (content and closed)):
            return self._from_feed(record, source, content, str(exc))
        return self._failing(record, exc)

    def _from_feed(self, record: PageRecord, source: str, content: str, reason: str) -> PageResult:
        """Take the article that the feed holds; without one the page is looked at again when its feed changes."""
        try:
            article = (
                article_from_entry(content, record.url, about=record.about, origin=record.url, source=source)
                if len(content) >= _FULL_TEXT
                else None
            )
        except ParseError:
            article = None
        if article and len(article.text) >= _FULL_TEXT:
            now = self._updated_record(record, "entry", article)
            return PageResult(record=replace(now, due=None), article=article)
        seen = replace(self._updated_record(record, "empty"), due=None)
        # A feed names videos and galleries too: they were never meant as articles.
        return PageResult(record=seen, skipped=Skipped(record.url, None, reason, expected=bool(record.feed)))

    def _updated_record(
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

    def _replaced(self, record: PageRecord, article: Article) -> str:
        """Return the article that the page has brought before under another address, if it is this one."""
        if not record.article_id or record.article_id == article.id:
            return ""
        before = self._library.article(record.article_id)
        return before.id if before and before.title == article.title else ""

    def _gone(self, record: PageRecord, reason: str) -> PageResult:
        now = self._clock()
        gone = replace(record, state="gone", checked=now, due=None, etag="", last_modified="")
        if record.article_id:
            return PageResult(record=gone, removed_article_id=record.article_id)
        return PageResult(record=gone, skipped=Skipped(record.url, None, reason))

    def _missing(self, record: PageRecord, reason: str) -> PageResult:
        """Note that a page was not found; only when that has lasted is its article gone."""
        failed = self._failed_record(record, "missing")
        if scheduling.is_gone(misses=failed.misses, missed=failed.missed, now=failed.checked):
            return self._gone(failed, reason)
        return PageResult(record=failed, skipped=Skipped(record.url, None, reason))

    def _failing(self, record: PageRecord, exc: FetchError | ParseError) -> PageResult:
        failed = self._failed_record(record, "failing", wait=exc.wait if isinstance(exc, FetchError) else 0.0)
        if isinstance(exc, FetchForbiddenError):
            failed = replace(failed, due=None)
        return PageResult(record=failed, skipped=Skipped(record.url, None, str(exc)))

    def _failed_record(self, record: PageRecord, state: str, *, wait: float = 0.0) -> PageRecord:
        now = self._clock()
        repeated = record.state == state
        misses = record.misses + 1 if repeated else 1
        due = scheduling.next_retry(first_seen=record.first_seen, now=now, misses=misses, wait=wait)
        missed = record.missed if repeated else now
        return replace(record, state=state, checked=now, due=due, misses=misses, missed=missed)


def _is_front_page(url: str) -> bool:
    parts = urlsplit(url)
    return not parts.path.strip("/") and not parts.query
