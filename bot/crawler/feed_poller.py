"""Polls one feed: what it names anew is visited, what it takes back is retracted, what came before is looked at."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import httpx

from bot.articles.article import parse_date
from bot.crawler import scheduling
from bot.crawler.feeds.models import Entry, Feed
from bot.crawler.feeds.parser import MAX_FEED_BYTES, feed_link, read_feed
from bot.crawler.fetcher import Fetcher, FetchResult
from bot.crawler.page_fetch import PageFetcher, PageResult
from bot.crawler.same_site import same_site
from bot.crawler.store import CrawlStore, FeedRecord, InFlight, PageRecord, page_key
from bot.errors import FetchError, ParseError
from bot.ingestion.loaders import Skipped
from bot.storage.database import chunks

_AT_ONCE = 200  # entries compared with what is known
_RECHECK_SECONDS = 600.0  # for looking again at pages in one poll, so that the feed itself is not forgotten
_DEPTH = 2  # of indexes of sitemaps
_DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PollResult:
    """What is to be remembered of a feed when all that it has led to is published; no record: nothing is."""

    record: FeedRecord | None = None
    before: str = ""  # the address it has moved from
    skipped: Skipped | None = None


Found = PageResult | PollResult


class FeedPoller:
    """Polls feeds; safe to share between threads."""

    def __init__(
        self,
        fetcher: Fetcher,
        ledger: CrawlStore,
        visitor: PageFetcher,
        *,
        shortest: float = scheduling.SHORTEST,
    ) -> None:
        """Let `shortest` seconds pass between two polls of a feed at least."""
        self._fetcher = fetcher
        self._ledger = ledger
        self._visitor = visitor
        self._shortest = shortest
        self.in_flight = InFlight()

    def add(self, url: str, *, source: str = "") -> Iterator[Found]:
        """Take a feed in and remember it; a page that names its feed stands for that. Raises CrawlStopped."""
        known = self._ledger.feed(url)
        record = known or FeedRecord(url=url, added=self._ledger.clock())
        if source:
            record = replace(record, source=source)
        try:
            page = self._fetcher.get(url, limit=MAX_FEED_BYTES)
            if link := feed_link(page):
                page = self._fetcher.get(link, limit=MAX_FEED_BYTES)
                earlier = self._ledger.feed(link)
                record = replace(earlier or record, url=link, source=source or record.source)
            feed = read_feed(page)
        except FetchError as exc:
            yield PollResult(record=known, skipped=Skipped(url, None, str(exc)))
            return
        pause = record.pause or scheduling.next_interval(0, changed=False, shortest=self._shortest, wanted=0)
        record = replace(record, state="ok", title=feed.title, due=self._ledger.clock() + pause)
        self._ledger.put_feed(record)
        yield from self._process_entries(record, page, feed)

    def poll(self, record: FeedRecord) -> Iterator[Found]:
        """Poll a feed, if it has changed. Raises CrawlStopped."""
        try:
            page = self._fetcher.get(
                record.url, etag=record.etag, last_modified=record.last_modified, limit=MAX_FEED_BYTES
            )
            feed = Feed(title=record.title) if page.unchanged else read_feed(page)
        except FetchError as exc:
            yield from self.recheck_pages(record.url, source=record.source)
            yield self._failed(record, exc)
            return
        yield from self._process_entries(record, page, feed)

    def recheck_pages(
        self, feed: str, *, source: str = "", begun: float | None = None
    ) -> Iterator[PageResult]:
        """Visit pages that came before from this feed, or from none, as it is their time. Raises CrawlStopped.

        Those that were visited since the poll has `begun` are passed over.
        """
        begun = self._ledger.clock() if begun is None else begun
        until = time.monotonic() + _RECHECK_SECONDS
        for record in self._ledger.due_pages(feed):
            if time.monotonic() > until:
                return
            if record.checked < begun and self.in_flight.begin(record.key):
                yield self.visit(record, source=source if same_site(feed, record.url) else "")

    def visit(
        self, record: PageRecord, *, source: str = "", content: str = "", asked_for: bool = False
    ) -> PageResult:
        """Visit a page that is in flight; see Visitor. Raises CrawlStopped."""
        try:
            return self._visitor.fetch_page(record, source=source, content=content, asked_for=asked_for)
        except BaseException:
            self.in_flight.end([record.key])
            raise

    # Within

    def _process_entries(self, record: FeedRecord, page: FetchResult, feed: Feed) -> Iterator[Found]:
        problems: list[str] = []
        changed, begun = False, self._ledger.clock()
        yield from self._retracted(record, page, feed)
        for visit in self._entries(record, page, feed, problems):
            changed = True
            yield visit
        yield from self.recheck_pages(record.url, source=record.source, begun=begun)
        yield self._done(record, page, feed, begun=begun, changed=changed, problems=problems)

    def _retracted(self, record: FeedRecord, page: FetchResult, feed: Feed) -> list[PageResult]:
        """Return the retractions of entries that a feed takes back, as far as they are its own site's."""
        return [
            PageResult(record=replace(named, state="gone", due=None), removed_article_id=named.article_id)
            for named in self._ledger.pages_in_feed(record.url, feed.tombstones)
            if named.article_id and named.state != "gone" and same_site(page.url, named.url)
        ]

    def _entries(
        self, record: FeedRecord, page: FetchResult, feed: Feed, problems: list[str]
    ) -> Iterator[PageResult]:
        seen = set[int]()
        deleted = set(feed.tombstones)
        for group in chunks(self._all_entries(record, page, feed, problems), _AT_ONCE):
            known = self._ledger.pages(page_key(entry.link) for entry in group)
            for entry in group:
                key = page_key(entry.link)
                if hash(key) in seen or entry.id in deleted:
                    continue
                seen.add(hash(key))
                before = known.get(key) or PageRecord(
                    key=key, url=entry.link, first_seen=self._ledger.clock()
                )
                if self._is_new_or_changed(record, entry, before) and self.in_flight.begin(key):
                    yield self._visited(record, page, entry, before)

    def _is_new_or_changed(self, record: FeedRecord, entry: Entry, before: PageRecord) -> bool:
        """Say whether an entry asks for a visit: of a page in several feeds only the first one's word counts."""
        if before.state == "forgotten" or before.feed not in ("", record.url):
            return False
        return before.entry_hash != entry.mark

    def _visited(self, record: FeedRecord, page: FetchResult, entry: Entry, before: PageRecord) -> PageResult:
        about, own = dict(entry.about), same_site(page.url, entry.link)
        now = replace(
            before, url=entry.link, feed=record.url, entry=entry.id, entry_hash=entry.mark, about=about
        )
        # What the user calls the feed is the outlet of its own site's pages, not of others that it points to.
        return self.visit(now, source=record.source if own else "", content=entry.content if own else "")

    def _all_entries(
        self, record: FeedRecord, page: FetchResult, feed: Feed, problems: list[str], depth: int = 0
    ) -> Iterator[Entry]:
        """Yield the entries of a feed, and of all sitemaps in it that have changed since it was gone through."""
        try:
            yield from feed.entries
        except FetchError as exc:
            problems.append(str(exc))
        for link, changed in feed.sub_sitemaps if depth < _DEPTH else ():
            if _is_older(changed, record.polled - _DAY):
                continue
            try:
                part = self._fetcher.get(link, limit=MAX_FEED_BYTES)
                within = read_feed(part)
            except FetchError as exc:
                problems.append(f"{link}: {exc}")
                continue
            yield from self._all_entries(record, part, within, problems, depth + 1)

    def _done(
        self,
        record: FeedRecord,
        page: FetchResult,
        feed: Feed,
        *,
        begun: float,
        changed: bool,
        problems: list[str],
    ) -> PollResult:
        wanted = max(feed.min_interval, page.max_age)
        pause = scheduling.next_interval(
            record.pause, changed=changed, shortest=self._shortest, wanted=wanted
        )
        problem = "; ".join(problems[:3])
        now = replace(
            record,
            url=page.moved or record.url,
            title=feed.title or record.title,
            state="ok",
            pause=pause,
            due=self._ledger.clock() + scheduling.with_jitter(pause),
            failures=0,
            problem=problem,
        )
        if not problems:  # what was not read is still to be gone through, so nothing may say that it was
            now = replace(
                now,
                polled=begun,
                etag=page.etag or record.etag,
                last_modified=page.last_modified or record.last_modified,
            )
        skipped = Skipped(record.url, None, problem) if problem else None
        return PollResult(record=now, before=record.url if page.moved else "", skipped=skipped)

    def _failed(self, record: FeedRecord, exc: FetchError) -> PollResult:
        failures = record.failures + 1
        pause = scheduling.backoff_interval(record.pause, failures, shortest=self._shortest, wait=exc.wait)
        due = self._ledger.clock() + scheduling.with_jitter(pause)
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
