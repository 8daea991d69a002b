"""Reads RSS and Atom with feedparser, which knows their dialects, once lxml has mended what is broken.

What feedparser is given is well-formed: it would mend it too, but takes minutes over a small feed made for that.
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

_BEFORE = re.compile(r"^[^<]*(?:<\?xml[^>]*\?>)?")
_BARE_AMPERSAND = re.compile(r"&(?!(?:\w{1,32}|#\d{1,7}|#x[\da-f]{1,6});)", re.I)
# Markup that stands in a feed as if it were its own; in CDATA it does no harm.
_MARKUP = re.compile(
    r"(<!\[CDATA\[(?:(?!<!\[CDATA\[).)*?\]\]>)"
    r"|</?(?:a|b|br|center|div|em|font|h\d|hr|i|img|li|ol|p|small|span|strong|sub|sup|u|ul)(?:[\s/][^<>]*)?>",
    re.I | re.S,
)
_NAMED = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)\w{1,32};")
_TOMBSTONE = "{http://purl.org/atompub/tombstones/1.0}deleted-entry"


def read_syndication(data: bytes, base: str, *, charset: str) -> Feed:
    """Read RSS or Atom. Raises FetchError."""
    import feedparser
    from lxml import etree

    root, broken = _well_formed(decode(data, charset=charset))
    data = etree.tostring(root, encoding="utf-8")
    headers = {"content-location": base, "content-type": "application/xml; charset=utf-8"}
    try:
        # As a stream: what is given as bytes, feedparser first tries to open as a file.
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
        entries=iter(list(_entries(parsed.entries))),
        tombstones=_tombstones(root),
        min_interval=max(pause, update_interval(period, often)),
    )


def _well_formed(text: str) -> tuple[Any, bool]:
    """Return the root of a feed, as much of it as can be read, and whether its XML is broken. Raises FetchError.

    What it declares of its own is not used: entities within entities would fill the memory.
    """
    from lxml import etree

    options: dict[str, Any] = {"resolve_entities": False, "no_network": True, "huge_tree": False}
    text = _NAMED.sub(lambda name: html.unescape(name[0]), _BEFORE.sub("", text, count=1))
    broken = False
    for mended in (text, escaped := _BARE_AMPERSAND.sub("&amp;", text)):
        try:
            root = etree.fromstring(mended.encode("utf-8", "replace"), etree.XMLParser(**options))
            break
        except etree.LxmlError:
            continue
    else:
        broken, mended = True, _MARKUP.sub(lambda found: found[1] or " ", escaped)
        root = etree.fromstring(mended.encode("utf-8", "replace"), etree.XMLParser(recover=True, **options))
    if root is None:
        raise FetchError("this feed cannot be parsed: its XML is broken")
    for element in root.iter(etree.Element):
        if ":" in (name := element.tag.rpartition("}")[2]):  # with a prefix that it does not declare
            element.tag = name.rpartition(":")[2]
        for name in [name for name in element.attrib if ":" in name.rpartition("}")[2]]:
            del element.attrib[name]
    etree.strip_tags(root, etree.Entity)
    return root, broken


def _entries(parsed: list[Any]) -> Iterator[Entry]:
    for one in parsed:
        link = str(one.get("link", "")).strip()
        if is_web_url(link):
            yield _entry(one, link)


def _entry(one: dict[str, Any], link: str) -> Entry:
    source = one.get("source")
    outlet = source.get("title", "") if isinstance(source, Mapping) else ""
    about = {
        "title": _title(one),
        "published": _date(one),
        "author": clean_line(_plain(one.get("author"))),
        "source": clean_line(_plain(outlet)),
    }
    contents = [str(part.get("value", "")) for part in one.get("content") or () if isinstance(part, Mapping)]
    content = max(contents, key=len, default="")
    # dict's own get: feedparser's takes one date for the other where only one is there.
    changed = _plain(dict.get(one, "updated")) or short_hash(_plain(one.get("summary")) + content)
    return Entry(
        link=link,
        id=str(one.get("id") or link),
        mark=short_hash("\n".join((about["title"], about["published"], changed))),
        about={name: value for name, value in about.items() if value},
        content=content,
    )


def _title(one: dict[str, Any]) -> str:
    """Return an entry's title as text: Atom says where it is HTML, RSS often is so without saying."""
    said = _plain(one.get("title"))
    if "html" in str(one.get("title_detail", {}).get("type", "")):
        said = re.sub(r"</?[a-zA-Z][^>]*>", "", said)
    return clean_line(html.unescape(said))


def _date(one: dict[str, Any]) -> str:
    """Return when an entry was published: as it is written, for that keeps its zone, else as feedparser reads it."""
    for name in ("published", "updated"):
        written = _plain(dict.get(one, name))
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


def _tombstones(root: Any) -> tuple[str, ...]:
    """Return the ids of entries that an Atom feed takes back (RFC 6721)."""
    # Only beside the entries: what an entry's content quotes takes nothing back.
    found = root.iterchildren(_TOMBSTONE)
    return tuple(dict.fromkeys(ref for one in found if (ref := one.get("ref", "").strip())))


def _plain(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""
