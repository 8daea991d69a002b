"""Reads sitemaps entry by entry: they may hold 50,000, and say of news when it was published and by whom."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

from bot.articles.article import clean_line, is_web_url, parse_date, short_hash
from bot.crawler.feeds.models import Entry, Feed
from bot.errors import FetchError, ParseError

_OF_MEDIA = re.compile("sitemap-(image|video)")  # titles and addresses that are not the article's
_OPTIONS: dict[str, Any] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "huge_tree": False,
    "recover": True,
    "remove_comments": True,
    "remove_pis": True,
}


def read_sitemap(data: bytes, base: str) -> Feed:
    """Read a sitemap, or an index of sitemaps. Raises FetchError."""
    try:
        return Feed(sub_sitemaps=tuple(_parts(data, base)), entries=_entries(data, base))
    except SyntaxError as exc:  # what lxml's errors of parsing are
        raise FetchError(f"this sitemap cannot be parsed ({exc})") from exc


def _parts(data: bytes, base: str) -> Iterator[tuple[str, str]]:
    for fields in _elements(data, "sitemap"):
        link = urljoin(base, fields.get("loc", ""))
        if fields.get("loc") and is_web_url(link):
            yield link, fields.get("lastmod", "")


def _entries(data: bytes, base: str) -> Iterator[Entry]:
    try:
        for fields in _elements(data, "url"):
            link = urljoin(base, fields.get("loc", ""))
            if fields.get("loc") and is_web_url(link):
                yield _entry(fields, link)
    except SyntaxError as exc:
        raise FetchError(f"this sitemap breaks off ({exc})") from exc


def _entry(fields: dict[str, str], link: str) -> Entry:
    about = {
        "title": clean_line(fields.get("title", "")),
        "published": _date(fields.get("publication_date", "")),
        "source": clean_line(fields.get("name", "")),
    }
    return Entry(
        link=link,
        id=link,
        mark=short_hash("\n".join((fields.get("lastmod", ""), *about.values()))),
        about={name: value for name, value in about.items() if value},
    )


def _elements(data: bytes, name: str) -> Iterator[dict[str, str]]:
    """Yield the texts within each element of this name by their own names, and drop it from memory."""
    from lxml import etree

    for _, element in etree.iterparse(io.BytesIO(data), tag=f"{{*}}{name}", **_OPTIONS):
        texts: dict[str, str] = {}
        for child in element.iterdescendants():
            if isinstance(child.tag, str) and not _OF_MEDIA.search(child.tag):
                texts.setdefault(etree.QName(child).localname, (child.text or "").strip())
        yield texts
        element.clear()
        while element.getprevious() is not None:
            del element.getparent()[0]


def _date(text: str) -> str:
    try:
        return text if parse_date(text) else ""
    except ParseError:
        return ""
