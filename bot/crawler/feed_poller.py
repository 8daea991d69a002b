"""Polls one feed: new, changed and removed entries, and pages that are due for a recheck."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import httpx

from bot.articles.article import parse_date
from bot.crawler import scheduling
from bot.crawler.feeds.models import Entry, Feed
from bot.crawler.feeds.parser import MAX_FEED_BYTES, find_feed_link, read_feed
from bot.crawler.fetcher import Fetcher, FetchResult
from bot.crawler.page_fetch import PageFetcher, PageResult
from bot.crawler.same_site import is_same_site
from bot.crawler.store import CrawlStore, FeedRecord, InFlight, PageRecord, page_key
from bot.errors import FetchError, ParseError
from bot.ingestion.loaders import Skipped
from bot.storage.database import chunks

_ENTRY_BATCH_SIZE = 200  # entries compared with the stored pages in one query
_MAX_RECHECK_SECONDS = 600.0  # for rechecking pages in one poll, so that the feed is polled on time
_MAX_SITEMAP_DEPTH = 2  # of nested sitemap indexes
_DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PollResult:
    """State of a feed to save after its articles are published; nothing is saved if `record` is None."""

    record: FeedRecord | None = None
    moved_from: str = ""  # previous URL of a feed that has moved permanently
    skipped: Skipped | None = None


CrawlResult = PageResult | PollResult


class FeedPoller:
    """Polls feeds; safe to share between threads."""

    def __init__(
        self,
        fetcher: Fetcher,
        store: CrawlStore,
        page_fetcher: PageFetcher,
        *,
        min_interval: float = scheduling.MIN_INTERVAL_SECONDS,
    ) -> None:
        """Prepare polling.

        Args:
            fetcher: fetches feeds.
            store: crawl state of feeds and pages.
            page_fetcher: fetches the pages of entries.
            min_interval: minimum seconds between two polls of a feed.
        """
        self._fetcher = fetcher
        self._store = store
        self._page_fetcher = page_fetcher
        self._min_interval = min_interval
        self.in_flight = InFlight()

    def add(self, url: str, *, source: str = "") -> Iterator[CrawlResult]:
        """Store a feed and process its entries; for an HTML page that links to its feed, that feed is used.

        Raises:
            CrawlStopped: if the crawl is shutting down.
        """
        known = self._store.feed(url)
        record = known or FeedRecord(url=url, added=self._store.clock())
        if source:
            record = replace(record, source=source)
        try:
            page = self._fetcher.get(url, limit=MAX_FEED_BYTES)
            if link := find_feed_link(page):
                page = self._fetcher.get(link, limit=MAX_FEED_BYTES)
                earlier = self._store.feed(link)
                record = replace(earlier or record, url=link, source=source or record.source)
            feed = read_feed(page)
        except FetchError as exc:
            yield PollResult(record=known, skipped=Skipped(url, None, str(exc)))
            return
        pause = record.pause or scheduling.next_interval(
            0, changed=False, min_interval=self._min_interval, requested=0
        )
        record = replace(record, state="ok", title=feed.title, due=self._store.clock() + pause)
        self._store.put_feed(record)
        yield from self._process_entries(record, page, feed)

    def poll(self, record: FeedRecord) -> Iterator[CrawlResult]:
        """Process the entries of a feed if it has changed.

        Raises:
            CrawlStopped: if the crawl is shutting down.
        """
        try:
            page = self._fetcher.get(
                record.url, etag=record.etag, last_modified=record.last_modified, limit=MAX_FEED_BYTES
            )
            feed = Feed(title=record.title) if page.is_unchanged else read_feed(page)
        except FetchError as exc:
            yield from self.recheck_pages(record.url, source=record.source)
            yield self._build_failure(record, exc)
            return
        yield from self._process_entries(record, page, feed)

    def recheck_pages(
        self, feed: str, *, source: str = "", started: float | None = None
    ) -> Iterator[PageResult]:
        """Fetch known pages that are due for a recheck.

        Args:
            feed: URL of the feed of the pages, or an empty string for pages without a feed.
            source: source of the articles on the feed's own site.
            started: time at which the poll started; pages fetched since then are skipped (default: now).

        Raises:
            CrawlStopped: if the crawl is shutting down.
        """
        started = self._store.clock() if started is None else started
        until = time.monotonic() + _MAX_RECHECK_SECONDS
        for record in self._store.due_pages(feed):
            if time.monotonic() > until:
                return
            if record.checked < started and self.in_flight.begin(record.key):
                yield self.fetch_page(record, source=source if is_same_site(feed, record.url) else "")

    def fetch_page(
        self, record: PageRecord, *, source: str = "", content: str = "", user_requested: bool = False
    ) -> PageResult:
        """Fetch a page that is in flight; see `PageFetcher.fetch_page`.

        Raises:
            CrawlStopped: if the crawl is shutting down.
        """
        try:
            return self._page_fetcher.fetch_page(
                record, source=source, content=content, user_requested=user_requested
            )
        except BaseException:
            self.in_flight.end([record.key])
            raise

    # Internals

    def _process_entries(self, record: FeedRecord, page: FetchResult, feed: Feed) -> Iterator[CrawlResult]:
        problems: list[str] = []
        changed, started = False, self._store.clock()
        yield from self._find_retractions(record, page, feed)
        for result in self._fetch_entries(record, page, feed, problems):
            changed = True
            yield result
        yield from self.recheck_pages(record.url, source=record.source, started=started)
        yield self._build_success(record, page, feed, started=started, changed=changed, problems=problems)

    def _find_retractions(self, record: FeedRecord, page: FetchResult, feed: Feed) -> list[PageResult]:
        """Return the retractions of entries that the feed has deleted, if they are pages of its own site."""
        return [
            PageResult(record=replace(named, state="gone", due=None), removed_article_id=named.article_id)
            for named in self._store.pages_in_feed(record.url, feed.tombstones)
            if named.article_id and named.state != "gone" and is_same_site(page.url, named.url)
        ]

    def _fetch_entries(
        self, record: FeedRecord, page: FetchResult, feed: Feed, problems: list[str]
    ) -> Iterator[PageResult]:
        seen = set[int]()
        deleted = set(feed.tombstones)
        for group in chunks(self._iter_entries(record, page, feed, problems), _ENTRY_BATCH_SIZE):
            known = self._store.pages(page_key(entry.link) for entry in group)
            for entry in group:
                key = page_key(entry.link)
                if hash(key) in seen or entry.id in deleted:
                    continue
                seen.add(hash(key))
                before = known.get(key) or PageRecord(key=key, url=entry.link, first_seen=self._store.clock())
                if self._is_new_or_changed(record, entry, before) and self.in_flight.begin(key):
                    yield self._fetch_entry(record, page, entry, before)

    def _is_new_or_changed(self, record: FeedRecord, entry: Entry, before: PageRecord) -> bool:
        """Return True if an entry is new or changed; for a page in several feeds only the first feed counts."""
        if before.state == "forgotten" or before.feed not in ("", record.url):
            return False
        return before.entry_hash != entry.fingerprint

    def _fetch_entry(
        self, record: FeedRecord, page: FetchResult, entry: Entry, before: PageRecord
    ) -> PageResult:
        metadata, own = dict(entry.metadata), is_same_site(page.url, entry.link)
        now = replace(
            before,
            url=entry.link,
            feed=record.url,
            entry=entry.id,
            entry_hash=entry.fingerprint,
            about=metadata,
        )
        # The source given by the user applies to the feed's own site, not to other sites it links to.
        return self.fetch_page(now, source=record.source if own else "", content=entry.content if own else "")

    def _iter_entries(
        self, record: FeedRecord, page: FetchResult, feed: Feed, problems: list[str], depth: int = 0
    ) -> Iterator[Entry]:
        """Yield the entries of a feed, and of its sub-sitemaps that have changed since the last poll."""
        try:
            yield from feed.entries
        except FetchError as exc:
            problems.append(str(exc))
        for link, changed in feed.sub_sitemaps if depth < _MAX_SITEMAP_DEPTH else ():
            if _is_older(changed, record.polled - _DAY_SECONDS):
                continue
            try:
                part = self._fetcher.get(link, limit=MAX_FEED_BYTES)
                within = read_feed(part)
            except FetchError as exc:
                problems.append(f"{link}: {exc}")
                continue
            yield from self._iter_entries(record, part, within, problems, depth + 1)

    def _build_success(
        self,
        record: FeedRecord,
        page: FetchResult,
        feed: Feed,
        *,
        started: float,
        changed: bool,
        problems: list[str],
    ) -> PollResult:
        requested = max(feed.min_interval, page.max_age)
        pause = scheduling.next_interval(
            record.pause, changed=changed, min_interval=self._min_interval, requested=requested
        )
        problem = "; ".join(problems[:3])
        now = replace(
            record,
            url=page.moved or record.url,
            title=feed.title or record.title,
            state="ok",
            pause=pause,
            due=self._store.clock() + scheduling.with_jitter(pause),
            failures=0,
            problem=problem,
        )
        if not problems:  # otherwise the next poll has to read the parts that failed
            now = replace(
                now,
                polled=started,
                etag=page.etag or record.etag,
                last_modified=page.last_modified or record.last_modified,
            )
        skipped = Skipped(record.url, None, problem) if problem else None
        return PollResult(record=now, moved_from=record.url if page.moved else "", skipped=skipped)

    def _build_failure(self, record: FeedRecord, exc: FetchError) -> PollResult:
        failures = record.failures + 1
        pause = scheduling.backoff_interval(
            record.pause, failures, min_interval=self._min_interval, wait=exc.wait
        )
        due = self._store.clock() + scheduling.with_jitter(pause)
        state = "gone" if exc.status == httpx.codes.GONE else "failing"
        problem = (
            "the feed is gone (410): it is polled no more, its articles stay" if state == "gone" else str(exc)
        )
        now = replace(record, state=state, due=due, failures=failures, problem=problem)
        return PollResult(record=now, skipped=Skipped(record.url, None, problem))


def _is_older(changed: str, than: float) -> bool:
    try:
        moment = parse_date(changed)
    except ParseError:
        return False
    return moment is not None and moment.timestamp() < than
