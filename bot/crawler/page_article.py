"""Makes an article of a page that was fetched; where the page says nothing, its feed may."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path

from bot.articles.article import Article, article_from_record
from bot.crawler.fetcher import FetchResult
from bot.crawler.same_site import is_valid_canonical
from bot.errors import ParseError
from bot.ingestion.html.extract import record_from_html
from bot.ingestion.html.publisher import publisher_name
from bot.ingestion.loaders.text_encoding import HEAD, decode, is_binary

_HTML = ("text/html", "application/xhtml+xml", "")
_FEED_ROOTS = ("<rss", "<feed", "<rdf:rdf", "<urlset", "<sitemapindex")
_FILLED = ("title", "published", "author")


def article_from_page(
    page: FetchResult, *, about: Mapping[str, str], origin: str, source: str = "", before: str = ""
) -> Article:
    """Return the article on a page, or in a PDF; `about` is what its feed says of it. Raises ParseError.

    `source` is its outlet's name where the user has said it: a page could claim any. `before` is the text that it had
    when it was last read: a page that shows only some of that before a wall is refused.
    """
    if page.content_type == "application/pdf" or page.body.startswith(b"%PDF-"):
        return _article_from_pdf(page, about=about, origin=origin, source=source)
    record = record_from_html(page_text(page))
    claimed = str(record.get("url") or "")
    url = claimed if claimed and is_valid_canonical(claimed, page.url) else page.url
    if record["walled"] and _is_part(str(record["text"]), before):
        raise ParseError("only the beginning of its article is shown: the rest is behind a wall")
    filled = {name: record.get(name) or about.get(name) for name in _FILLED}
    outlet = source or publisher_name(str(record.get("source") or about.get("source") or ""), page.url)
    return _article({**record, **filled, "url": url, "source": outlet}, origin=origin)


def article_from_entry(
    content: str, url: str, *, about: Mapping[str, str], origin: str, source: str = ""
) -> Article:
    """Return the article that a feed's entry holds itself. Raises ParseError."""
    title = html.escape(about.get("title", ""))
    text = record_from_html(
        f"<html><head><title>{title}</title></head><body><article>{content}</article></body></html>",
        kind="entry",
    )["text"]
    fields = {name: about.get(name) for name in _FILLED}
    outlet = source or publisher_name(about.get("source", ""), url)
    return _article({**fields, "text": text, "url": url, "source": outlet}, origin=origin)


def _article_from_pdf(page: FetchResult, *, about: Mapping[str, str], origin: str, source: str) -> Article:
    from bot.ingestion.loaders.base import File
    from bot.ingestion.loaders.pdf import article_from_pdf

    told = {name: about.get(name, "") for name in _FILLED}
    file = File(Path(origin), origin, source or publisher_name(about.get("source", ""), page.url))
    return article_from_pdf(page.body, file, url=page.url, told=told)


def page_text(page: FetchResult) -> str:
    """Return the HTML of a page. Raises ParseError for what is no page."""
    if page.content_type not in _HTML and not page.content_type.endswith("xml"):
        raise ParseError(f"no page but {page.content_type[:60]}, which is not read from the web")
    if is_binary(page.body[:HEAD]):
        raise ParseError("no page but a binary file, which is not read from the web")
    text = decode(page.body, charset=page.charset)
    if looks_like_feed(text):
        raise ParseError("a feed, not an article: take it in with --feed")
    return text


def looks_like_feed(text: str) -> bool:
    """Say whether a text is a feed by what it begins with."""
    head = text[:HEAD].lower()
    at = min((head.find(root) for root in _FEED_ROOTS if root in head), default=-1)
    return at >= 0 and "<html" not in head[:at] and "<!doctype html" not in head[:at]


def _is_part(text: str, before: str) -> bool:
    return len(text) < len(before) and all(line in before for line in text.split("\n"))


def _article(record: Mapping[str, object], *, origin: str) -> Article:
    try:
        return article_from_record(record, origin=origin)
    except (ValueError, OverflowError, RecursionError) as exc:
        raise ParseError(f"a field holds a value that cannot be used ({type(exc).__name__})") from exc
