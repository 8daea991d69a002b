"""Streaming sitemap parser: a sitemap may contain 50,000 entries; news entries have a date and a publisher."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

from bot.articles.article import clean_line, is_web_url, parse_date, short_hash
from bot.crawler.feeds.models import Entry, Feed
from bot.errors import FetchError, ParseError

_MEDIA_NAMESPACE = re.compile("sitemap-(image|video)")  # titles and URLs of media, not of the article
_PARSER_OPTIONS: dict[str, Any] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "huge_tree": False,
    "recover": True,
    "remove_comments": True,
    "remove_pis": True,
}


def read_sitemap(data: bytes, base: str) -> Feed:
    """Parse a sitemap or a sitemap index.

    Raises:
        FetchError: if it cannot be parsed; also while iterating over the entries.
    """
    try:
        return Feed(sub_sitemaps=tuple(_find_sub_sitemaps(data, base)), entries=_parse_entries(data, base))
    except SyntaxError as exc:  # base class of lxml's parse errors
        raise FetchError(f"this sitemap cannot be parsed ({exc})") from exc


def _find_sub_sitemaps(data: bytes, base: str) -> Iterator[tuple[str, str]]:
    for fields in _iter_elements(data, "sitemap"):
        link = urljoin(base, fields.get("loc", ""))
        if fields.get("loc") and is_web_url(link):
            yield link, fields.get("lastmod", "")


def _parse_entries(data: bytes, base: str) -> Iterator[Entry]:
    try:
        for fields in _iter_elements(data, "url"):
            link = urljoin(base, fields.get("loc", ""))
            if fields.get("loc") and is_web_url(link):
                yield _build_entry(fields, link)
    except SyntaxError as exc:
        raise FetchError(f"this sitemap breaks off ({exc})") from exc


def _build_entry(fields: dict[str, str], link: str) -> Entry:
    metadata = {
        "title": clean_line(fields.get("title", "")),
        "published": _valid_date(fields.get("publication_date", "")),
        "source": clean_line(fields.get("name", "")),
    }
    return Entry(
        link=link,
        id=link,
        fingerprint=short_hash("\n".join((fields.get("lastmod", ""), *metadata.values()))),
        metadata={name: value for name, value in metadata.items() if value},
    )


def _iter_elements(data: bytes, name: str) -> Iterator[dict[str, str]]:
    """Yield the texts in each element of this name, by tag name, and free the element's memory."""
    from lxml import etree

    for _, element in etree.iterparse(io.BytesIO(data), tag=f"{{*}}{name}", **_PARSER_OPTIONS):
        texts: dict[str, str] = {}
        for child in element.iterdescendants():
            if isinstance(child.tag, str) and not _MEDIA_NAMESPACE.search(child.tag):
                texts.setdefault(etree.QName(child).localname, (child.text or "").strip())
        yield texts
        element.clear()
        while element.getprevious() is not None:
            del element.getparent()[0]


def _valid_date(text: str) -> str:
    try:
        return text if parse_date(text) else ""
    except ParseError:
        return ""
