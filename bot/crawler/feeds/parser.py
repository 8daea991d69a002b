"""Reads feeds of all kinds, told by what is in them: RSS, Atom, JSON Feed, sitemaps and indexes of sitemaps."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from urllib.parse import urljoin

from bot.articles.article import is_web_url, short_hash
from bot.crawler.feeds.models import Entry, Feed
from bot.crawler.fetcher import FetchResult
from bot.crawler.page_article import looks_like_feed
from bot.crawler.transport import unpack
from bot.errors import FetchError
from bot.ingestion.loaders.text_encoding import HEAD, decode

logger = logging.getLogger(__name__)

MAX_FEED_BYTES = 52_428_800  # what the sitemaps' protocol allows one file to hold
MAX_SYNDICATED_BYTES = 10_000_000  # RSS and Atom are parsed whole
_LINKS = (
    "//link[contains(concat(' ', @rel, ' '), ' alternate ')]"
    "[contains(@type, 'rss') or contains(@type, 'atom') or contains(@type, 'feed+json')]/@href"
)
_MAX_TITLE = 500


def read_feed(page: FetchResult) -> Feed:
    """Read a feed. Raises FetchError where there is none, or one that its reader breaks on."""
    try:
        return _read(page)
    except FetchError:
        raise
    except Exception as exc:
        logger.exception("%s", page.url)
        raise FetchError(f"this feed cannot be read ({type(exc).__name__})") from exc


def _read(page: FetchResult) -> Feed:
    data = unpack(page.body, limit=MAX_FEED_BYTES)
    head = decode(data[:HEAD], charset=page.charset).lstrip("\ufeff \r\n\t")
    if head.startswith("{"):
        return _json_feed(data, page.url)
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


def feed_link(page: FetchResult) -> str:
    """Return the address of the feed that an HTML page names, or ""."""
    if page.content_type not in ("text/html", "application/xhtml+xml"):
        return ""
    import trafilatura

    tree = trafilatura.load_html(decode(page.body, charset=page.charset))
    links = tree.xpath(_LINKS) if tree is not None else []
    return next((link for href in links if is_web_url(link := urljoin(page.url, href.strip()))), "")


def _json_feed(data: bytes, base: str) -> Feed:
    try:
        document = json.loads(decode(data))
        items = document["items"]
        entries = [_json_entry(item, base) for item in items if isinstance(item, dict)]
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise FetchError("no feed: JSON, but no JSON Feed") from exc
    return Feed(title=_said(document, "title"), entries=(entry for entry in entries if entry.link))


def _json_entry(item: Mapping[str, object], base: str) -> Entry:
    authors = item.get("authors") or [item.get("author")]
    names = authors if isinstance(authors, list) else []
    about = {
        "title": _said(item, "title"),
        "published": _said(item, "date_published"),
        "author": ", ".join(filter(None, (_said(one, "name") for one in names if isinstance(one, dict)))),
    }
    changed = _said(item, "date_modified") or short_hash(
        _said(item, "content_html") + _said(item, "content_text")
    )
    link = urljoin(base, _said(item, "url"))
    return Entry(
        link=link if _said(item, "url") and is_web_url(link) else "",
        id=str(item.get("id") or link),
        mark=short_hash("\n".join((about["title"], about["published"], changed))),
        about={name: value for name, value in about.items() if value},
        content=_said(item, "content_html"),
    )


def _said(item: Mapping[str, object], name: str) -> str:
    value = item.get(name)
    return value.strip() if isinstance(value, str) else ""
