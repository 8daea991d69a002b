"""Reads what an HTML page says of its article in JSON-LD: schema.org's NewsArticle and its kin."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from bot.articles.article import canonical_url, clean_line, parse_date
from bot.errors import ParseError

_TYPE = re.compile(r"(?:https?://schema\.org/|schema:)?(\w*Article|BlogPosting|LiveBlogPosting|Report)")
_SCRIPT = "//script[contains(translate(@type, 'LDJSON', 'ldjson'), 'ld+json')]"
_TITLES = "//title//text() | //h1//text() | //meta[@property='og:title']/@content"
_MAX_SCRIPT = 2_000_000  # characters
_DEPTH = 4  # of lists and graphs within each other
_WRAPPING = re.compile(
    r"^\s*(<!--|//\s*<!\[CDATA\[|/\*\s*<!\[CDATA\[\s*\*/)|(-->|//\s*\]\]>|/\*\s*\]\]>\s*\*/)\s*$"
)
_TRAILING_COMMA = re.compile(r",(\s*[}\]])")


def extract_json_ld(tree: Any, *, address: str = "") -> dict[str, str]:
    """Return title, published, author, source and text as the page's JSON-LD states them; {} where it does not.

    It is the one of this `address`, or whose headline the page bears, or the only one if it names no address; where
    none of this tells, none: another article's date would be a wrong citation.
    """
    found = [node for script in tree.xpath(_SCRIPT) for node in _articles(_parsed(script.text or ""))]
    chosen = _chosen(found, tree, canonical_url(address))
    return _fields(chosen) if chosen else {}


def _parsed(script: str) -> object:
    """Return the document; of one that is slightly broken, what is meant: newlines in strings, a comma too many."""
    text = _WRAPPING.sub("", script[:_MAX_SCRIPT]).strip().rstrip(";")
    for attempt in (text, _TRAILING_COMMA.sub(r"\1", text)):
        try:
            document: object = json.loads(attempt, strict=False)
        except (ValueError, RecursionError):
            continue
        return document
    return None


def _articles(node: object, depth: int = 0) -> Iterator[Mapping[str, object]]:
    """Yield the articles that a document is about, not those that it only lists or links to."""
    if isinstance(node, list) and depth < _DEPTH:
        for item in node:
            yield from _articles(item, depth + 1)
    elif isinstance(node, Mapping):
        if any(_TYPE.fullmatch(kind) for kind in _texts(node.get("@type"))):
            yield node
        elif depth < _DEPTH:
            for within in ("@graph", "mainEntity", "mainEntityOfPage"):
                yield from _articles(node.get(within), depth + 1)


def _chosen(found: list[Mapping[str, object]], tree: Any, address: str) -> Mapping[str, object] | None:
    for node in found:
        if address and address in _addresses(node):
            return node
    titles = " ".join(map(clean_line, tree.xpath(_TITLES)))
    for node in found:
        if (headline := _single_line(node.get("headline"))) and headline in titles:
            return node
    alone = len(found) == 1 and not (address and _addresses(found[0]))
    return found[0] if alone else None


def _addresses(node: Mapping[str, object]) -> set[str]:
    places = (node.get("url"), node.get("@id"), node.get("mainEntityOfPage"))
    return {
        canonical_url(text) for place in places if (text := _first(place, "@id", "url")).startswith("http")
    }


def _fields(node: Mapping[str, object]) -> dict[str, str]:
    fields = {
        "title": _single_line(node.get("headline")) or _single_line(node.get("name")),
        "published": _date(node.get("datePublished")),
        "author": ", ".join(dict.fromkeys(filter(None, map(_name, _list(node.get("author")))))),
        "source": next(filter(None, map(_name, _list(node.get("publisher")))), ""),
        "text": _multiline_text(_first(node.get("articleBody"))),
    }
    return {name: value for name, value in fields.items() if value}


def _name(value: object) -> str:
    """Return a person's or an outlet's name; an address is not one."""
    name = _single_line(_first(value, "name"))
    return "" if "://" in name else name


def _date(value: object) -> str:
    text = _single_line(value)
    try:
        return text if parse_date(text) else ""
    except ParseError:
        return ""


def _multiline_text(text: str) -> str:
    """Return a body's text, without markup that some write into it."""
    plain = re.sub(r"</?(?:p|div|br|h\d|li)\b[^>]*>", "\n\n", text) if "<" in text else text
    plain = html.unescape(re.sub(r"</?[a-zA-Z][^>]*>", "", plain))
    return "\n\n".join(line.strip() for line in plain.splitlines() if line.strip())


def _single_line(value: object) -> str:
    return clean_line(html.unescape(_first(value)))


def _first(value: object, *names: str) -> str:
    """Return the text that a value is, or that the first of these names has in it."""
    while isinstance(value, list | Mapping):
        if isinstance(value, list):
            value = value[0] if value else ""
        else:
            value = next((value[name] for name in (*names, "@value") if value.get(name)), "")
    return value if isinstance(value, str) else ""


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _texts(value: object) -> list[str]:
    return [one for one in _list(value) if isinstance(one, str)]
