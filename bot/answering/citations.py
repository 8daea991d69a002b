"""Citations: the place in an article that a sentence stands on, numbered by first use."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote as percent_encode

from bot.answering.answer import ArticleRef, Citation
from bot.answering.signed_links import SignedLinks
from bot.articles.article import is_web_url
from bot.articles.chunking import Span, split_sentences
from bot.retrieval.models import Hit
from bot.storage.article_store import ArticleStore
from bot.storage.models import ArticleSummary
from bot.text.shingles import contains_sentence

if TYPE_CHECKING:
    from bot.answering.extractive import Quote

_LONGEST = 200_000  # characters of an article that is compared sentence by sentence, while a reader waits
_WHOLE = 240  # characters: a longer quote is named by its first and last words
_EDGES = (4, 7, 12)  # words at each edge, fewest first
_BEYOND_LATIN = re.compile("[^\0-\u02ff]")  # no accent that combines stands before U+0300
_PREFIXES = (0, 3, 6, 10)  # words before the quote, for when it stands in the article twice


class CitationBuilder:
    """The citations of one answer. The same place cited twice keeps its number."""

    def __init__(self, library: ArticleStore, sealed: SignedLinks | None = None) -> None:
        """`sealed` links to the service's own page of an article that has no address on the web."""
        self._library = library
        self._sealed = sealed
        self._cited: dict[tuple[str, Span], Citation] = {}

    @property
    def citations(self) -> tuple[Citation, ...]:
        """All citations so far, by their numbers."""
        return tuple(self._cited.values())

    def cite(self, hit: Hit, span: Span, answer: Span | None = None) -> int:
        """Return the number of this place; `span` and the `answer` in it count in the article's text."""
        key = (hit.passage.id, span)
        if key not in self._cited:
            self._cited[key] = self._citation(len(self._cited) + 1, hit, span, answer)
        return self._cited[key].n

    def cite_quote(self, quote: Quote) -> int:
        """Return the number of a quote and of the words in it that answer."""
        return self.cite(quote.hit, Span(quote.start, quote.end), quote.answer)

    def _citation(self, n: int, hit: Hit, span: Span, answer: Span | None) -> Citation:
        at = hit.passage.start
        # By version: in the text of a correction that came in since, the offsets mean other words.
        article = self._library.article(hit.headline.article_id, hit.headline.version)
        page = article.page(span.start) if article else None
        quote = hit.passage.text[span.start - at : span.end - at]
        return Citation(
            n=n,
            passage_id=hit.passage.id,
            version=hit.headline.version,
            start=span.start,
            end=span.end,
            quote=quote,
            link=self._link(hit, span, answer, article.text if article else "", page),
            page=page,
            answer_start=answer.start if answer else None,
            answer_end=answer.end if answer else None,
            copies=tuple(
                ArticleRef(**article_fields(copy)) for copy in hit.copies if self._contains_quote(copy, quote)
            ),
            **article_fields(hit.headline),
        )

    def _contains_quote(self, copy: ArticleSummary, quote: str) -> bool:
        """Say whether an article that carries the same story has these sentences too."""
        article = self._library.article(copy.article_id, copy.version)
        if article is None or len(article.text) > _LONGEST:
            return article is not None and quote in article.text
        sentences = (quote[part.start : part.end] for part in split_sentences(quote))
        return all(contains_sentence(article.text, sentence) for sentence in sentences)

    def _link(self, hit: Hit, span: Span, answer: Span | None, text: str, page: int | None) -> str | None:
        headline = hit.headline
        if self._sealed and self._sealed.has_public_url and not is_web_url(headline.url):
            place = (headline.article_id, headline.version, span, hit.passage.id)
            return self._sealed.link(*place, answer=answer)
        if page is not None:
            return pdf_page_url(headline.url, page)
        return text_fragment_url(
            headline.url, title=headline.title, text=text, start=span.start, end=span.end
        )


def article_fields(headline: ArticleSummary) -> dict[str, Any]:
    """Return the fields by which answers name an article."""
    return {
        "article_id": headline.article_id,
        "title": headline.title,
        "source": headline.source,
        "published": headline.published,
        "url": headline.url,
    }


class _Fragment(NamedTuple):
    prefix: str
    start: str
    end: str

    def __str__(self) -> str:
        parts = [_encode(self.prefix) + "-"] if self.prefix else []
        parts += [_encode(part) for part in (self.start, self.end) if part]
        return ",".join(parts)


def text_fragment_url(url: str | None, *, title: str, text: str, start: int, end: int) -> str | None:
    """Return `url` with a fragment that selects `text[start:end]` and nothing before it on the page.

    The page is taken to show the title and then the text. Where no fragment would select just the quote,
    or `url` is no web address, the plain `url` is returned.
    """
    if url is None or not is_web_url(url):
        return url
    head = f"{title}\n" if title else ""
    page, at, to = head + text, len(head) + start, len(head) + end
    for fragment in _candidates(page, at, to):
        if _resolves_to(fragment, page, at, to):
            return f"{url}{':~:' if '#' in url else '#:~:'}text={fragment}"
    return url


def pdf_page_url(url: str | None, page: int) -> str | None:
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


def _resolves_to(fragment: _Fragment, page: str, start: int, end: int) -> bool:
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
