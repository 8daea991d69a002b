"""Crawl state of feeds, pages and hosts, in the database of the article store."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from sqlalchemy import and_, delete, or_, select, update

from bot.articles.article import canonical_url
from bot.storage.article_store import ArticleStore
from bot.storage.database import chunks, upsert
from bot.storage.schema import feeds, pages, resting_hosts

# States of a page whose article is published.
STATES_WITH_ARTICLE = ("ok", "entry", "missing", "failing")
_RECHECKED_STATES = ("ok", "missing", "failing")
_MAX_DUE_PAGES = 1_000
# Retention of pages without an article; afterwards, a feed that still lists such a page makes it a new one.
_RETENTION_SECONDS = 180 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedRecord:
    """Feed to poll; times are in seconds since 1970."""

    url: str
    title: str = ""
    source: str = ""
    state: str = "ok"
    etag: str = ""
    last_modified: str = ""
    added: float = 0.0
    polled: float = 0.0
    due: float = 0.0
    pause: float = 0.0
    failures: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRecord:
    """Page that was fetched; times are in seconds since 1970.

    Its state is "new" (not yet fetched), "ok" (it contains an article), "entry" (its feed entry contains the article,
    the page does not), "empty" (no article), "copy" (another page has the same article), "missing" or "failing" (it
    will be retried), "gone" (retracted), or "forgotten" (the user removed the article; it is not fetched again
    unless the user requests it).
    """

    key: str
    url: str
    found: str = ""
    feed: str = ""
    entry: str = ""
    entry_hash: str = ""
    about: Mapping[str, str] = field(default_factory=dict)
    state: str = "new"
    article_id: str = ""
    etag: str = ""
    last_modified: str = ""
    first_seen: float = 0.0
    checked: float = 0.0
    due: float | None = None
    misses: int = 0
    missed: float = 0.0


_FEED_COLUMNS = [feeds.c[one.name] for one in fields(FeedRecord)]
_PAGE_COLUMNS = [pages.c[one.name] for one in fields(PageRecord)]


class CrawlStore:
    """Stores feeds, pages and host backoffs; safe to share between threads."""

    def __init__(self, article_store: ArticleStore, *, clock: Callable[[], float] = time.time) -> None:
        """Use the database of an article store.

        Args:
            article_store: the article store.
            clock: returns seconds since 1970.
        """
        self._article_store = article_store
        self.clock = clock

    # Feeds

    def feeds(self) -> list[FeedRecord]:
        """Return all feeds, ordered by URL."""
        with self._article_store.connect() as connection:
            return [
                FeedRecord(**row._mapping)
                for row in connection.execute(select(*_FEED_COLUMNS).order_by(feeds.c.url))
            ]

    def due_feeds(self) -> list[FeedRecord]:
        """Return the feeds that are due, the longest overdue first."""
        query = select(*_FEED_COLUMNS).where(feeds.c.state != "gone", feeds.c.due <= self.clock())
        with self._article_store.connect() as connection:
            return [FeedRecord(**row._mapping) for row in connection.execute(query.order_by(feeds.c.due))]

    def feed(self, url: str) -> FeedRecord | None:
        """Return the feed with this URL, or None."""
        with self._article_store.connect() as connection:
            row = connection.execute(select(*_FEED_COLUMNS).where(feeds.c.url == url)).first()
        return FeedRecord(**row._mapping) if row else None

    def put_feed(self, feed: FeedRecord, *, moved_from: str = "") -> None:
        """Insert or update a feed; `moved_from` is its previous URL, whose pages are moved too."""
        with self._article_store.transaction() as connection:
            if moved_from and moved_from != feed.url:
                connection.execute(delete(feeds).where(feeds.c.url == moved_from))
                connection.execute(update(pages).where(pages.c.feed == moved_from).values(feed=feed.url))
            upsert(connection, feeds, asdict(feed), key=("url",))

    def update_feed(self, feed: FeedRecord) -> None:
        """Update a feed after a poll, unless it was removed in the meantime."""
        with self._article_store.transaction() as connection:
            connection.execute(update(feeds).where(feeds.c.url == feed.url).values(asdict(feed)))

    def remove_feed(self, url: str) -> bool:
        """Delete a feed and stop rechecking its pages; return False if it is unknown."""
        with self._article_store.transaction() as connection:
            known = connection.execute(delete(feeds).where(feeds.c.url == url)).rowcount == 1
            connection.execute(update(pages).where(pages.c.feed == url).values(feed="", due=None))
        return known

    # Pages

    def page(self, url: str) -> PageRecord:
        """Return the page with this URL, or a new record if it is unknown."""
        key = page_key(url)
        return self.pages([key]).get(key) or PageRecord(key=key, url=url, first_seen=self.clock())

    def pages(self, keys: Iterable[str]) -> dict[str, PageRecord]:
        """Return the known pages among these keys, by key."""
        found = {}
        with self._article_store.connect() as connection:
            for chunk in chunks(keys):
                for row in connection.execute(select(*_PAGE_COLUMNS).where(pages.c.key.in_(chunk))):
                    found[row.key] = PageRecord(**row._mapping)
        return found

    def due_pages(self, feed: str) -> list[PageRecord]:
        """Return up to a thousand pages of a feed, or without one, that are due for a recheck."""
        query = select(*_PAGE_COLUMNS).where(
            pages.c.feed == feed, pages.c.due <= self.clock(), pages.c.state.in_(_RECHECKED_STATES)
        )
        with self._article_store.connect() as connection:
            rows = connection.execute(query.order_by(pages.c.due).limit(_MAX_DUE_PAGES))
            return [PageRecord(**row._mapping) for row in rows]

    def pages_in_feed(self, feed: str, entries: Sequence[str]) -> list[PageRecord]:
        """Return the pages of a feed's entries, given by entry id or URL."""
        found: list[PageRecord] = []
        with self._article_store.connect() as connection:
            for chunk in chunks(entries):
                named = or_(pages.c.entry.in_(chunk), pages.c.key.in_([page_key(one) for one in chunk]))
                rows = connection.execute(select(*_PAGE_COLUMNS).where(pages.c.feed == feed, named))
                found += [PageRecord(**row._mapping) for row in rows]
        return found

    def source_pages(self, article_ids: Iterable[str]) -> dict[str, str]:
        """Return the key of the page that each article comes from, by article id."""
        query = select(pages.c.article_id, pages.c.key).where(pages.c.state.in_(STATES_WITH_ARTICLE))
        found: dict[str, str] = {}
        with self._article_store.connect() as connection:
            for chunk in chunks(article_ids):
                for row in connection.execute(
                    query.where(pages.c.article_id.in_(chunk)).order_by(pages.c.first_seen)
                ):
                    found.setdefault(row.article_id, row.key)
        return found

    def put_pages(self, records: Iterable[PageRecord]) -> None:
        """Insert or update pages."""
        for chunk in chunks(records):
            with self._article_store.transaction() as connection:
                for record in chunk:
                    upsert(connection, pages, asdict(record), key=("key",))

    def prune(self) -> int:
        """Delete old pages that have no published article and are not rechecked; return their number."""
        idle = and_(pages.c.due.is_(None), pages.c.checked < self.clock() - _RETENTION_SECONDS)
        useless = or_(
            pages.c.state.in_(("empty", "copy", "gone")),
            and_(pages.c.state.in_(("missing", "failing")), pages.c.article_id == ""),
        )
        with self._article_store.transaction() as connection:
            return connection.execute(delete(pages).where(idle, useless)).rowcount

    # Hosts

    def backoffs(self) -> dict[str, float]:
        """Return the active backoffs: the end time, by host."""
        query = select(resting_hosts.c.host, resting_hosts.c.until).where(
            resting_hosts.c.until > self.clock()
        )
        with self._article_store.connect() as connection:
            return {row.host: row.until for row in connection.execute(query)}

    def set_backoff(self, host: str, until: float) -> None:
        """Save the end time of a host's backoff."""
        row: dict[str, Any] = {"host": host, "until": until}
        with self._article_store.transaction() as connection:
            connection.execute(delete(resting_hosts).where(resting_hosts.c.until <= self.clock()))
            upsert(connection, resting_hosts, row, key=("host",))


def page_key(url: str) -> str:
    """Return the key of a page, which is equal for all its URLs."""
    return canonical_url(url)


class InFlight:
    """Keys of the pages being fetched or written; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys = set[str]()

    def begin(self, key: str) -> bool:
        """Mark a page as in flight; return False if it already is."""
        with self._lock:
            free = key not in self._keys
            self._keys.add(key)
        return free

    def end(self, keys: Iterable[str]) -> None:
        """Mark pages as no longer in flight."""
        with self._lock:
            self._keys.difference_update(keys)
