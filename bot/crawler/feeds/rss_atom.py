"""Parses RSS and Atom with feedparser, after lxml has repaired broken XML.

feedparser only gets well-formed XML: it could repair it too, but takes minutes for a small feed made to exploit that.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from bot.articles.article import clean_line, is_web_url, parse_date, short_hash
from bot.crawler.feeds.models import Entry, Feed, update_interval
from bot.errors import FetchError, ParseError
from bot.ingestion.loaders.text_encoding import decode

_XML_PROLOG = re.compile(r"^[^<]*(?:<\?xml[^>]*\?>)?")
_BARE_AMPERSAND = re.compile(r"&(?!(?:\w{1,32}|#\d{1,7}|#x[\da-f]{1,6});)", re.I)
# HTML markup that was put into a feed without escaping; in CDATA it is harmless.
_MARKUP = re.compile(
    r"(<!\[CDATA\[(?:(?!<!\[CDATA\[).)*?\]\]>)"
    r"|</?(?:a|b|br|center|div|em|font|h\d|hr|i|img|li|ol|p|small|span|strong|sub|sup|u|ul)(?:[\s/][^<>]*)?>",
    re.I | re.S,
)
_NAMED_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)\w{1,32};")
_TOMBSTONE = "{http://purl.org/atompub/tombstones/1.0}deleted-entry"


def read_syndication(data: bytes, base: str, *, charset: str) -> Feed:
    """Parse RSS or Atom.

    Args:
        data: the feed, decompressed.
        base: URL of the feed, against which links are resolved.
        charset: charset of the HTTP response, or an empty string.

    Raises:
        FetchError: if the feed cannot be parsed.
    """
    import feedparser
    from lxml import etree

    root, broken = _repair_xml(decode(data, charset=charset))
    data = etree.tostring(root, encoding="utf-8")
    headers = {"content-location": base, "content-type": "application/xml; charset=utf-8"}
    try:
        # As a stream: feedparser first tries to open a bytes argument as a file.
        parsed: Any = feedparser.parse(
            io.BytesIO(data), response_headers=headers, sanitize_html=False, resolve_relative_uris=False
        )
    except Exception as exc:  # on hostile markup it raises errors of any class
        raise FetchError(f"this feed cannot be parsed ({type(exc).__name__})") from exc
    if broken and not parsed.entries and not parsed.feed.get("title"):
        raise FetchError("this feed cannot be parsed: its XML is broken")
    feed = parsed.feed
    ttl = str(feed.get("ttl", ""))
    pause = float(ttl) * 60 if ttl.isdigit() and len(ttl) < 7 else 0.0
    period, often = str(feed.get("sy_updateperiod", "")), str(feed.get("sy_updatefrequency", ""))
    return Feed(
        title=clean_line(str(feed.get("title", ""))),
        entries=iter(list(_parse_entries(parsed.entries))),
        tombstones=_find_tombstones(root),
        min_interval=max(pause, update_interval(period, often)),
    )


def _repair_xml(text: str) -> tuple[Any, bool]:
    """Parse XML as far as possible.

    Entity declarations are ignored, because nested entities would exhaust the memory.

    Returns:
        The root element, and True if the XML is broken.

    Raises:
        FetchError: if nothing can be parsed.
    """
    from lxml import etree

    options: dict[str, Any] = {"resolve_entities": False, "no_network": True, "huge_tree": False}
    text = _NAMED_ENTITY.sub(lambda name: html.unescape(name[0]), _XML_PROLOG.sub("", text, count=1))
    broken = False
    for repaired in (text, escaped := _BARE_AMPERSAND.sub("&amp;", text)):
        try:
            root = etree.fromstring(repaired.encode("utf-8", "replace"), etree.XMLParser(**options))
            break
        except etree.LxmlError:
            continue
    else:
        broken, repaired = True, _MARKUP.sub(lambda found: found[1] or " ", escaped)
        root = etree.fromstring(repaired.encode("utf-8", "replace"), etree.XMLParser(recover=True, **options))
    if root is None:
        raise FetchError("this feed cannot be parsed: its XML is broken")
    for element in root.iter(etree.Element):
        if ":" in (name := element.tag.rpartition("}")[2]):  # with an undeclared prefix
            element.tag = name.rpartition(":")[2]
        for name in [name for name in element.attrib if ":" in name.rpartition("}")[2]]:
            del element.attrib[name]
    etree.strip_tags(root, etree.Entity)
    return root, broken


def _parse_entries(parsed: list[Any]) -> Iterator[Entry]:
    for one in parsed:
        link = str(one.get("link", "")).strip()
        if is_web_url(link):
            yield _build_entry(one, link)


def _build_entry(one: dict[str, Any], link: str) -> Entry:
    source = one.get("source")
    source_title = source.get("title", "") if isinstance(source, Mapping) else ""
    metadata = {
        "title": _parse_title(one),
        "published": _parse_publication_date(one),
        "author": clean_line(_as_text(one.get("author"))),
        "source": clean_line(_as_text(source_title)),
    }
    contents = [str(part.get("value", "")) for part in one.get("content") or () if isinstance(part, Mapping)]
    content = max(contents, key=len, default="")
    # dict.get: feedparser's own `get` returns one date for the other if only one is present.
    changed = _as_text(dict.get(one, "updated")) or short_hash(_as_text(one.get("summary")) + content)
    return Entry(
        link=link,
        id=str(one.get("id") or link),
        fingerprint=short_hash("\n".join((metadata["title"], metadata["published"], changed))),
        metadata={name: value for name, value in metadata.items() if value},
        content=content,
    )


def _parse_title(one: dict[str, Any]) -> str:
    """Return the title of an entry as text: Atom declares HTML titles, RSS often uses HTML without declaring it."""
    title = _as_text(one.get("title"))
    if "html" in str(one.get("title_detail", {}).get("type", "")):
        title = re.sub(r"</?[a-zA-Z][^>]*>", "", title)
    return clean_line(html.unescape(title))


def _parse_publication_date(one: dict[str, Any]) -> str:
    """Return the publication date in ISO format: from the text, which has the zone, else as parsed by feedparser."""
    for name in ("published", "updated"):
        written = _as_text(dict.get(one, name))
        try:
            if moment := parse_date(written):
                return moment.isoformat()
        except ParseError:
            pass
        read = dict.get(one, f"{name}_parsed")
        if read:
            year, month, day, hour, minute, second = read[:6]
            return datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC).isoformat()
    return ""


def _find_tombstones(root: Any) -> tuple[str, ...]:
    """Return the ids of the entries that an Atom feed has deleted (RFC 6721)."""
    # Only siblings of the entries: a tombstone in the content of an entry deletes nothing.
    found = root.iterchildren(_TOMBSTONE)
    return tuple(dict.fromkeys(ref for one in found if (ref := one.get("ref", "").strip())))


def _as_text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""
