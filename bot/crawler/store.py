"""Keeps what is known of feeds and pages in the library's database."""

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

STATES_WITH_ARTICLE = (
    "ok",
    "entry",
    "missing",
    "failing",
)  # the states of a page that readers have an article from
_WATCHED = ("ok", "missing", "failing")
_DUE_AT_ONCE = 1_000
# Seconds that what gave nothing is remembered; a feed that still names it then names it anew.
_KEPT = 180 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedRecord:
    """A feed that is polled; times are seconds since 1970."""

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
    """A page that was fetched.

    Its state is "ok" (an article came from it), "entry" (its feed held the article, the page did not), "empty" (there
    was none), "copy" (another page brings the same article), "missing" or "failing" (it will be tried again),
    "gone" (retracted), or "forgotten" (the user removed the article, and it does not come back by itself).
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


_FEED = [feeds.c[one.name] for one in fields(FeedRecord)]
_PAGE = [pages.c[one.name] for one in fields(PageRecord)]


class CrawlStore:
    """The feeds, pages and resting hosts of a library; safe to share between threads."""

    def __init__(self, library: ArticleStore, *, clock: Callable[[], float] = time.time) -> None:
        """Keep them in this library; the clock gives seconds since 1970."""
        self._library = library
        self.clock = clock

    # Feeds

    def feeds(self) -> list[FeedRecord]:
        """Return all feeds, by address."""
        with self._library.connect() as connection:
            return [
                FeedRecord(**row._mapping) for row in connection.execute(select(*_FEED).order_by(feeds.c.url))
            ]

    def due_feeds(self) -> list[FeedRecord]:
        """Return the feeds that are to be polled by now, those that wait longest first."""
        query = select(*_FEED).where(feeds.c.state != "gone", feeds.c.due <= self.clock())
        with self._library.connect() as connection:
            return [FeedRecord(**row._mapping) for row in connection.execute(query.order_by(feeds.c.due))]

    def feed(self, url: str) -> FeedRecord | None:
        """Return the feed of this address."""
        with self._library.connect() as connection:
            row = connection.execute(select(*_FEED).where(feeds.c.url == url)).first()
        return FeedRecord(**row._mapping) if row else None

    def put_feed(self, feed: FeedRecord, *, before: str = "") -> None:
        """Remember a feed; `before` is the address that it has moved from, with its pages."""
        with self._library.transaction() as connection:
            if before and before != feed.url:
                connection.execute(delete(feeds).where(feeds.c.url == before))
                connection.execute(update(pages).where(pages.c.feed == before).values(feed=feed.url))
            upsert(connection, feeds, asdict(feed), key=("url",))

    def put_known_feed(self, feed: FeedRecord) -> None:
        """Remember what a poll has found, unless the feed was removed meanwhile."""
        with self._library.transaction() as connection:
            connection.execute(update(feeds).where(feeds.c.url == feed.url).values(asdict(feed)))

    def remove_feed(self, url: str) -> bool:
        """Forget a feed, and look at its pages no more; say whether it was known."""
        with self._library.transaction() as connection:
            known = connection.execute(delete(feeds).where(feeds.c.url == url)).rowcount == 1
            connection.execute(update(pages).where(pages.c.feed == url).values(feed="", due=None))
        return known

    # Pages

    def page(self, url: str) -> PageRecord:
        """Return what is known of the page at an address; a new record where nothing is."""
        key = page_key(url)
        return self.pages([key]).get(key) or PageRecord(key=key, url=url, first_seen=self.clock())

    def pages(self, keys: Iterable[str]) -> dict[str, PageRecord]:
        """Return the known ones of these pages by their keys."""
        found = {}
        with self._library.connect() as connection:
            for chunk in chunks(keys):
                for row in connection.execute(select(*_PAGE).where(pages.c.key.in_(chunk))):
                    found[row.key] = PageRecord(**row._mapping)
        return found

    def due_pages(self, feed: str) -> list[PageRecord]:
        """Return pages of a feed, or of none, that are to be looked at again by now; a thousand at most."""
        query = select(*_PAGE).where(
            pages.c.feed == feed, pages.c.due <= self.clock(), pages.c.state.in_(_WATCHED)
        )
        with self._library.connect() as connection:
            rows = connection.execute(query.order_by(pages.c.due).limit(_DUE_AT_ONCE))
            return [PageRecord(**row._mapping) for row in rows]

    def pages_in_feed(self, feed: str, entries: Sequence[str]) -> list[PageRecord]:
        """Return the pages that this feed has named in these entries, by their ids or addresses."""
        found: list[PageRecord] = []
        with self._library.connect() as connection:
            for chunk in chunks(entries):
                named = or_(pages.c.entry.in_(chunk), pages.c.key.in_([page_key(one) for one in chunk]))
                rows = connection.execute(select(*_PAGE).where(pages.c.feed == feed, named))
                found += [PageRecord(**row._mapping) for row in rows]
        return found

    def source_pages(self, article_ids: Iterable[str]) -> dict[str, str]:
        """Return the key of the page that each of these articles comes from, by article."""
        query = select(pages.c.article_id, pages.c.key).where(pages.c.state.in_(STATES_WITH_ARTICLE))
        found: dict[str, str] = {}
        with self._library.connect() as connection:
            for chunk in chunks(article_ids):
                for row in connection.execute(
                    query.where(pages.c.article_id.in_(chunk)).order_by(pages.c.first_seen)
                ):
                    found.setdefault(row.article_id, row.key)
        return found

    def put_pages(self, records: Iterable[PageRecord]) -> None:
        """Remember what was found on these pages."""
        for chunk in chunks(records):
            with self._library.transaction() as connection:
                for record in chunk:
                    upsert(connection, pages, asdict(record), key=("key",))

    def prune(self) -> int:
        """Forget pages that have given nothing that readers see, and are not looked at any more; return how many."""
        idle = and_(pages.c.due.is_(None), pages.c.checked < self.clock() - _KEPT)
        useless = or_(
            pages.c.state.in_(("empty", "copy", "gone")),
            and_(pages.c.state.in_(("missing", "failing")), pages.c.article_id == ""),
        )
        with self._library.transaction() as connection:
            return connection.execute(delete(pages).where(idle, useless)).rowcount

    # Hosts

    def backoffs(self) -> dict[str, float]:
        """Return until when hosts asked not to be asked."""
        query = select(resting_hosts.c.host, resting_hosts.c.until).where(
            resting_hosts.c.until > self.clock()
        )
        with self._library.connect() as connection:
            return {row.host: row.until for row in connection.execute(query)}

    def set_backoff(self, host: str, until: float) -> None:
        """Remember until when a host asks not to be asked."""
        row: dict[str, Any] = {"host": host, "until": until}
        with self._library.transaction() as connection:
            connection.execute(delete(resting_hosts).where(resting_hosts.c.until <= self.clock()))
            upsert(connection, resting_hosts, row, key=("host",))


def page_key(url: str) -> str:
    """Return what two addresses of one page have in common."""
    return canonical_url(url)


class InFlight:
    """The keys of pages on their way; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys = set[str]()

    def begin(self, key: str) -> bool:
        """Take a page; False where it is taken already."""
        with self._lock:
            free = key not in self._keys
            self._keys.add(key)
        return free

    def end(self, keys: Iterable[str]) -> None:
        """Give pages back."""
        with self._lock:
            self._keys.difference_update(keys)
