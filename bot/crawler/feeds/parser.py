"""Detects and parses a feed: RSS, Atom, JSON Feed, sitemap or sitemap index."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from urllib.parse import urljoin

from bot.articles.article import is_web_url, short_hash
from bot.crawler.feeds.models import Entry, Feed
from bot.crawler.fetcher import FetchResult
from bot.crawler.page_article import looks_like_feed
from bot.crawler.transport import decompress
from bot.errors import FetchError
from bot.ingestion.loaders.text_encoding import HEAD_BYTES, decode

logger = logging.getLogger(__name__)

MAX_FEED_BYTES = 52_428_800  # limit of a file in the sitemap protocol
MAX_SYNDICATED_BYTES = 10_000_000  # RSS and Atom are parsed in memory
_FEED_LINK_XPATH = (
    "//link[contains(concat(' ', @rel, ' '), ' alternate ')]"
    "[contains(@type, 'rss') or contains(@type, 'atom') or contains(@type, 'feed+json')]/@href"
)


def read_feed(page: FetchResult) -> Feed:
    """Parse a fetched feed.

    Raises:
        FetchError: if the response is not a feed, or its parser fails.
    """
    try:
        return _parse(page)
    except FetchError:
        raise
    except Exception as exc:
        logger.exception("%s", page.url)
        raise FetchError(f"this feed cannot be read ({type(exc).__name__})") from exc


def _parse(page: FetchResult) -> Feed:
    data = decompress(page.body, limit=MAX_FEED_BYTES)
    head = decode(data[:HEAD_BYTES], charset=page.charset).lstrip("\ufeff \r\n\t")
    if head.startswith("{"):
        return _parse_json_feed(data, page.url)
    lowered = head.lower()
    if not looks_like_feed(head):
        raise FetchError("no feed: neither RSS, Atom, JSON Feed nor a sitemap")
    if "<urlset" in lowered or "<sitemapindex" in lowered:
        from bot.crawler.feeds.sitemaps import read_sitemap

        return read_sitemap(data, page.url)
    if len(data) > MAX_SYNDICATED_BYTES:
        raise FetchError(f"larger than {MAX_SYNDICATED_BYTES / 1e6:g} MB, the limit of a feed")
    from bot.crawler.feeds.rss_atom import read_syndication

    return read_syndication(data, page.url, charset=page.charset)


def find_feed_link(page: FetchResult) -> str:
    """Return the URL of the feed that an HTML page links to, or an empty string."""
    if page.content_type not in ("text/html", "application/xhtml+xml"):
        return ""
    import trafilatura

    tree = trafilatura.load_html(decode(page.body, charset=page.charset))
    links = tree.xpath(_FEED_LINK_XPATH) if tree is not None else []
    return next((link for href in links if is_web_url(link := urljoin(page.url, href.strip()))), "")


def _parse_json_feed(data: bytes, base: str) -> Feed:
    try:
        document = json.loads(decode(data))
        items = document["items"]
        entries = [_build_json_entry(item, base) for item in items if isinstance(item, dict)]
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise FetchError("no feed: JSON, but no JSON Feed") from exc
    return Feed(title=_get_text(document, "title"), entries=(entry for entry in entries if entry.link))


def _build_json_entry(item: Mapping[str, object], base: str) -> Entry:
    authors = item.get("authors") or [item.get("author")]
    names = authors if isinstance(authors, list) else []
    metadata = {
        "title": _get_text(item, "title"),
        "published": _get_text(item, "date_published"),
        "author": ", ".join(filter(None, (_get_text(one, "name") for one in names if isinstance(one, dict)))),
    }
    changed = _get_text(item, "date_modified") or short_hash(
        _get_text(item, "content_html") + _get_text(item, "content_text")
    )
    link = urljoin(base, _get_text(item, "url"))
    return Entry(
        link=link if _get_text(item, "url") and is_web_url(link) else "",
        id=str(item.get("id") or link),
        fingerprint=short_hash("\n".join((metadata["title"], metadata["published"], changed))),
        metadata={name: value for name, value in metadata.items() if value},
        content=_get_text(item, "content_html"),
    )


def _get_text(item: Mapping[str, object], name: str) -> str:
    value = item.get(name)
    return value.strip() if isinstance(value, str) else ""
