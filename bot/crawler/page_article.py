"""Builds an article from a fetched page or a feed entry."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path

from bot.articles.article import Article, article_from_record
from bot.crawler.fetcher import FetchResult
from bot.crawler.same_site import is_valid_canonical
from bot.errors import ParseError
from bot.ingestion.html.extract import parse_html
from bot.ingestion.html.publisher import publisher_name
from bot.ingestion.loaders.text_encoding import HEAD_BYTES, decode, is_binary

_HTML_TYPES = ("text/html", "application/xhtml+xml", "")
_FEED_ROOTS = ("<rss", "<feed", "<rdf:rdf", "<urlset", "<sitemapindex")
_METADATA_FIELDS = ("title", "published", "author")


def article_from_page(
    page: FetchResult, *, metadata: Mapping[str, str], origin: str, source: str = "", previous_text: str = ""
) -> Article:
    """Return the article on a page, or in a PDF.

    Args:
        page: the fetched page.
        metadata: metadata of its feed entry; completes that of the page.
        origin: URL that the page is stored under.
        source: source given by the user; preferred, because a page can claim any publisher.
        previous_text: text of the stored version. A paywalled page that shows only an excerpt of it is rejected.

    Raises:
        ParseError: if the page does not contain a complete article.
    """
    if page.content_type == "application/pdf" or page.body.startswith(b"%PDF-"):
        return _article_from_pdf(page, metadata=metadata, origin=origin, source=source)
    record = parse_html(page_text(page))
    claimed_url = str(record.get("url") or "")
    url = claimed_url if claimed_url and is_valid_canonical(claimed_url, page.url) else page.url
    if record["paywalled"] and _is_excerpt(str(record["text"]), previous_text):
        raise ParseError("only the beginning of its article is shown: the rest is behind a wall")
    filled = {name: record.get(name) or metadata.get(name) for name in _METADATA_FIELDS}
    publisher = source or publisher_name(str(record.get("source") or metadata.get("source") or ""), page.url)
    return _build_article({**record, **filled, "url": url, "source": publisher}, origin=origin)


def article_from_entry(
    content: str, url: str, *, metadata: Mapping[str, str], origin: str, source: str = ""
) -> Article:
    """Return the article that is contained in a feed entry.

    Args:
        content: the article as HTML.
        url: URL of its page.
        metadata: metadata of the entry.
        origin: URL that the page is stored under.
        source: source given by the user.

    Raises:
        ParseError: if the content is not an article.
    """
    title = html.escape(metadata.get("title", ""))
    text = parse_html(
        f"<html><head><title>{title}</title></head><body><article>{content}</article></body></html>",
        kind="entry",
    )["text"]
    fields = {name: metadata.get(name) for name in _METADATA_FIELDS}
    publisher = source or publisher_name(metadata.get("source", ""), url)
    return _build_article({**fields, "text": text, "url": url, "source": publisher}, origin=origin)


def _article_from_pdf(page: FetchResult, *, metadata: Mapping[str, str], origin: str, source: str) -> Article:
    from bot.ingestion.loaders.base import File
    from bot.ingestion.loaders.pdf import article_from_pdf

    known_metadata = {name: metadata.get(name, "") for name in _METADATA_FIELDS}
    file = File(Path(origin), origin, source or publisher_name(metadata.get("source", ""), page.url))
    return article_from_pdf(page.body, file, url=page.url, known_metadata=known_metadata)


def page_text(page: FetchResult) -> str:
    """Return the HTML of a page.

    Raises:
        ParseError: if the response is not an HTML page.
    """
    if page.content_type not in _HTML_TYPES and not page.content_type.endswith("xml"):
        raise ParseError(f"no page but {page.content_type[:60]}, which is not read from the web")
    if is_binary(page.body[:HEAD_BYTES]):
        raise ParseError("no page but a binary file, which is not read from the web")
    text = decode(page.body, charset=page.charset)
    if looks_like_feed(text):
        raise ParseError("a feed, not an article: take it in with --feed")
    return text


def looks_like_feed(text: str) -> bool:
    """Return True if the start of a text is that of a feed."""
    head = text[:HEAD_BYTES].lower()
    at = min((head.find(root) for root in _FEED_ROOTS if root in head), default=-1)
    return at >= 0 and "<html" not in head[:at] and "<!doctype html" not in head[:at]


def _is_excerpt(text: str, previous_text: str) -> bool:
    return len(text) < len(previous_text) and all(line in previous_text for line in text.split("\n"))


def _build_article(record: Mapping[str, object], *, origin: str) -> Article:
    try:
        return article_from_record(record, origin=origin)
    except (ValueError, OverflowError, RecursionError) as exc:
        raise ParseError(f"a field holds a value that cannot be used ({type(exc).__name__})") from exc
