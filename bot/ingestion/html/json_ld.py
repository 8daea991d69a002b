"""schema.org NewsArticle metadata, and that of similar types, from the JSON-LD of an HTML page."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from bot.articles.article import canonical_url, clean_line, parse_date
from bot.errors import ParseError

_TYPE = re.compile(r"(?:https?://schema\.org/|schema:)?(\w*Article|BlogPosting|LiveBlogPosting|Report)")
_SCRIPT_XPATH = "//script[contains(translate(@type, 'LDJSON', 'ldjson'), 'ld+json')]"
_TITLE_XPATH = "//title//text() | //h1//text() | //meta[@property='og:title']/@content"
_MAX_SCRIPT_CHARS = 2_000_000
_MAX_DEPTH = 4  # of nested lists and graphs
_WRAPPING = re.compile(
    r"^\s*(<!--|//\s*<!\[CDATA\[|/\*\s*<!\[CDATA\[\s*\*/)|(-->|//\s*\]\]>|/\*\s*\]\]>\s*\*/)\s*$"
)
_TRAILING_COMMA = re.compile(r",(\s*[}\]])")


def extract_json_ld(tree: Any, *, url: str = "") -> dict[str, str]:
    """Return title, published, author, source and text from the JSON-LD of a page, if present.

    Uses the article with this URL, else the one whose headline is on the page, else the only one if it does not have a
    URL. If none of these applies, the result is empty, because the date of another article would be a wrong citation.

    Args:
        tree: the parsed page.
        url: canonical URL of the page, or an empty string.
    """
    found = [
        node
        for script in tree.xpath(_SCRIPT_XPATH)
        for node in _find_articles(_parse_json(script.text or ""))
    ]
    chosen = _choose(found, tree, canonical_url(url))
    return _build_record(chosen) if chosen else {}


def _parse_json(script: str) -> object:
    """Parse JSON; tolerates newlines in strings and trailing commas. Returns None if it cannot be parsed."""
    text = _WRAPPING.sub("", script[:_MAX_SCRIPT_CHARS]).strip().rstrip(";")
    for attempt in (text, _TRAILING_COMMA.sub(r"\1", text)):
        try:
            document: object = json.loads(attempt, strict=False)
        except (ValueError, RecursionError):
            continue
        return document
    return None


def _find_articles(node: object, depth: int = 0) -> Iterator[Mapping[str, object]]:
    """Yield the main articles of a document, not those that it only lists or links to."""
    if isinstance(node, list) and depth < _MAX_DEPTH:
        for item in node:
            yield from _find_articles(item, depth + 1)
    elif isinstance(node, Mapping):
        if any(_TYPE.fullmatch(kind) for kind in _texts(node.get("@type"))):
            yield node
        elif depth < _MAX_DEPTH:
            for within in ("@graph", "mainEntity", "mainEntityOfPage"):
                yield from _find_articles(node.get(within), depth + 1)


def _choose(found: list[Mapping[str, object]], tree: Any, url: str) -> Mapping[str, object] | None:
    for node in found:
        if url and url in _urls(node):
            return node
    titles = " ".join(map(clean_line, tree.xpath(_TITLE_XPATH)))
    for node in found:
        if (headline := _single_line(node.get("headline"))) and headline in titles:
            return node
    alone = len(found) == 1 and not (url and _urls(found[0]))
    return found[0] if alone else None


def _urls(node: Mapping[str, object]) -> set[str]:
    values = (node.get("url"), node.get("@id"), node.get("mainEntityOfPage"))
    return {
        canonical_url(text)
        for value in values
        if (text := _first_text(value, "@id", "url")).startswith("http")
    }


def _build_record(node: Mapping[str, object]) -> dict[str, str]:
    fields = {
        "title": _single_line(node.get("headline")) or _single_line(node.get("name")),
        "published": _date(node.get("datePublished")),
        "author": ", ".join(dict.fromkeys(filter(None, map(_get_name, _as_list(node.get("author")))))),
        "source": next(filter(None, map(_get_name, _as_list(node.get("publisher")))), ""),
        "text": _multiline_text(_first_text(node.get("articleBody"))),
    }
    return {name: value for name, value in fields.items() if value}


def _get_name(value: object) -> str:
    """Return the name of a person or an organization, or an empty string if it is a URL."""
    name = _single_line(_first_text(value, "name"))
    return "" if "://" in name else name


def _date(value: object) -> str:
    text = _single_line(value)
    try:
        return text if parse_date(text) else ""
    except ParseError:
        return ""


def _multiline_text(text: str) -> str:
    """Return the text of an article body without HTML markup, which some sites include."""
    plain = re.sub(r"</?(?:p|div|br|h\d|li)\b[^>]*>", "\n\n", text) if "<" in text else text
    plain = html.unescape(re.sub(r"</?[a-zA-Z][^>]*>", "", plain))
    return "\n\n".join(line.strip() for line in plain.splitlines() if line.strip())


def _single_line(value: object) -> str:
    return clean_line(html.unescape(_first_text(value)))


def _first_text(value: object, *names: str) -> str:
    """Return a value if it is text, else the text of its first present key among `names`; of a list, its first item."""
    while isinstance(value, list | Mapping):
        if isinstance(value, list):
            value = value[0] if value else ""
        else:
            value = next((value[name] for name in (*names, "@value") if value.get(name)), "")
    return value if isinstance(value, str) else ""


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _texts(value: object) -> list[str]:
    return [one for one in _as_list(value) if isinstance(one, str)]
