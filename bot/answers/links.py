"""Links that jump to a quote: text fragments (https://wicg.github.io/scroll-to-text-fragment/), or a page."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote as percent_encode

from bot.articles.article import is_web_url

_WHOLE = 240  # characters: a longer quote is named by its first and last words
_EDGES = (4, 7, 12)  # words at each edge, fewest first
_BEYOND_LATIN = re.compile("[^\0-\u02ff]")  # no accent that combines stands before U+0300
_PREFIXES = (0, 3, 6, 10)  # words before the quote, for when it stands in the article twice


class _Fragment(NamedTuple):
    prefix: str
    start: str
    end: str

    def __str__(self) -> str:
        parts = [_encode(self.prefix) + "-"] if self.prefix else []
        parts += [_encode(part) for part in (self.start, self.end) if part]
        return ",".join(parts)


def quote_link(url: str | None, *, title: str, text: str, start: int, end: int) -> str | None:
    """Return `url` with a fragment that selects `text[start:end]` and nothing before it on the page.

    The page is taken to show the title and then the text. Where no fragment would select just the quote,
    or `url` is no web address, the plain `url` is returned.
    """
    if url is None or not is_web_url(url):
        return url
    head = f"{title}\n" if title else ""
    page, at, to = head + text, len(head) + start, len(head) + end
    for fragment in _candidates(page, at, to):
        if _selects(fragment, page, at, to):
            return f"{url}{':~:' if '#' in url else '#:~:'}text={fragment}"
    return url


def page_link(url: str | None, page: int) -> str | None:
    """Return `url` with the fragment by which PDF viewers open a page (RFC 8118): they search for no words."""
    return f"{url}#page={page}" if is_web_url(url) and "#" not in str(url) else url


def _candidates(page: str, start: int, end: int) -> Iterator[_Fragment]:
    quote = page[start:end]
    words, before = quote.split(), page[:start].split()
    one_block = "\n" not in quote  # only a range may reach over a paragraph's end
    for count in _PREFIXES:
        prefix = " ".join(before[-count:]) if count else ""
        if one_block and len(quote) <= _WHOLE:
            yield _Fragment(prefix, " ".join(words), "")
        for edge in _EDGES:
            if len(words) >= 2 * edge:
                yield _Fragment(prefix, " ".join(words[:edge]), " ".join(words[-edge:]))


def _selects(fragment: _Fragment, page: str, start: int, end: int) -> bool:
    """Search as a browser does, first match first, and say whether it ends up at `page[start:end]`."""
    haystack = _normal(page)
    found_prefix = _normal(fragment.prefix + " ") if fragment.prefix else ""
    at = haystack.find(found_prefix + _normal(fragment.start))
    if at < 0:
        return False
    at += len(found_prefix)
    if at != len(_normal(page[:start])):
        return False
    to = at + len(_normal(fragment.start))
    if fragment.end:
        last = haystack.find(_normal(fragment.end), to)
        to = last + len(_normal(fragment.end))
    return to == len(_normal(page[:end]))


def _normal(text: str) -> str:
    """Fold case, accents and white space: a browser finds "Türkiye" when told "turkiye"."""
    edges = (" " if edge.isspace() else "" for edge in (text[:1], text[-1:] if text.strip() else ""))
    decomposed = unicodedata.normalize("NFKD", " ".join(text.split()).join(edges))
    return _BEYOND_LATIN.sub(_unless_combining, decomposed).casefold()


def _unless_combining(found: re.Match[str]) -> str:
    return "" if unicodedata.combining(found[0]) else found[0]


def _encode(text: str) -> str:
    # "-" has a meaning in a fragment, and quote() never encodes it; "," and "&" it does.
    return percent_encode(text, safe="").replace("-", "%2D")
