"""Build numbered citations, and links that select the quote in the article."""

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

_MAX_COMPARED_CHARS = 200_000  # longer articles are not compared sentence by sentence: the user is waiting
_MAX_WHOLE_QUOTE_CHARS = 240  # a longer quote is selected by its first and last words
_EDGE_WORDS = (4, 7, 12)  # words at each end of the quote, fewest first
_BEYOND_LATIN = re.compile("[^\0-\u02ff]")  # combining accents start at U+0300
_PREFIX_WORDS = (0, 3, 6, 10)  # words before the quote, in case the article contains it twice


class CitationBuilder:
    """Numbers the citations of one answer; a place that is cited twice keeps its number."""

    def __init__(self, store: ArticleStore, signed_links: SignedLinks | None = None) -> None:
        """Start without citations.

        Args:
            store: the articles.
            signed_links: builds links to the service's page of an article that has no web URL.
        """
        self._store = store
        self._signed_links = signed_links
        self._cited: dict[tuple[str, Span], Citation] = {}

    @property
    def citations(self) -> tuple[Citation, ...]:
        """All citations so far, in the order of their numbers."""
        return tuple(self._cited.values())

    def cite(self, hit: Hit, span: Span, answer: Span | None = None) -> int:
        """Cite a place in an article and return its number.

        Args:
            hit: the passage.
            span: the quote, in offsets of the article's text.
            answer: the words in the quote that answer the question, in offsets of the article's text.
        """
        key = (hit.passage.id, span)
        if key not in self._cited:
            self._cited[key] = self._build_citation(len(self._cited) + 1, hit, span, answer)
        return self._cited[key].n

    def cite_quote(self, quote: Quote) -> int:
        """Cite a quote with the words in it that answer, and return its number."""
        return self.cite(quote.hit, Span(quote.start, quote.end), quote.answer)

    def _build_citation(self, n: int, hit: Hit, span: Span, answer: Span | None) -> Citation:
        at = hit.passage.start
        # Load this version: in a correction that was ingested since, the offsets refer to other words.
        article = self._store.article(hit.headline.article_id, hit.headline.version)
        page = article.page_number(span.start) if article else None
        quote = hit.passage.text[span.start - at : span.end - at]
        return Citation(
            n=n,
            passage_id=hit.passage.id,
            version=hit.headline.version,
            start=span.start,
            end=span.end,
            quote=quote,
            link=self._build_link(hit, span, answer, article.text if article else "", page),
            page=page,
            answer_start=answer.start if answer else None,
            answer_end=answer.end if answer else None,
            copies=tuple(
                ArticleRef(**article_fields(copy)) for copy in hit.copies if self._contains_quote(copy, quote)
            ),
            **article_fields(hit.headline),
        )

    def _contains_quote(self, copy: ArticleSummary, quote: str) -> bool:
        """Return True if a syndicated copy contains the sentences of the quote."""
        article = self._store.article(copy.article_id, copy.version)
        if article is None or len(article.text) > _MAX_COMPARED_CHARS:
            return article is not None and quote in article.text
        sentences = (quote[part.start : part.end] for part in split_sentences(quote))
        return all(contains_sentence(article.text, sentence) for sentence in sentences)

    def _build_link(
        self, hit: Hit, span: Span, answer: Span | None, text: str, page: int | None
    ) -> str | None:
        headline = hit.headline
        if self._signed_links and self._signed_links.has_public_url and not is_web_url(headline.url):
            place = (headline.article_id, headline.version, span, hit.passage.id)
            return self._signed_links.link(*place, answer=answer)
        if page is not None:
            return pdf_page_url(headline.url, page)
        return text_fragment_url(
            headline.url, title=headline.title, text=text, start=span.start, end=span.end
        )


def article_fields(headline: ArticleSummary) -> dict[str, Any]:
    """Return the fields that identify an article in answers."""
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

    Returns the plain `url` if no fragment selects exactly the quote, or if `url` is not a web URL.

    Args:
        url: URL of the article.
        title: title of the article; the page is assumed to show it before the text.
        text: text of the article.
        start: offset of the quote in `text`.
        end: end of the quote, exclusive.
    """
    if url is None or not is_web_url(url):
        return url
    head = f"{title}\n" if title else ""
    page, at, to = head + text, len(head) + start, len(head) + end
    for fragment in _iter_fragments(page, at, to):
        if _resolves_to(fragment, page, at, to):
            return f"{url}{':~:' if '#' in url else '#:~:'}text={fragment}"
    return url


def pdf_page_url(url: str | None, page: int) -> str | None:
    """Return `url` with a fragment that opens a page in PDF viewers (RFC 8118), which do not support text search."""
    return f"{url}#page={page}" if is_web_url(url) and "#" not in str(url) else url


def _iter_fragments(page: str, start: int, end: int) -> Iterator[_Fragment]:
    quote = page[start:end]
    words, before = quote.split(), page[:start].split()
    one_block = "\n" not in quote  # only a range may extend past the end of a paragraph
    for count in _PREFIX_WORDS:
        prefix = " ".join(before[-count:]) if count else ""
        if one_block and len(quote) <= _MAX_WHOLE_QUOTE_CHARS:
            yield _Fragment(prefix, " ".join(words), "")
        for edge in _EDGE_WORDS:
            if len(words) >= 2 * edge:
                yield _Fragment(prefix, " ".join(words[:edge]), " ".join(words[-edge:]))


def _resolves_to(fragment: _Fragment, page: str, start: int, end: int) -> bool:
    """Return True if a browser, which takes the first match, selects exactly `page[start:end]`."""
    haystack = _normalize(page)
    found_prefix = _normalize(fragment.prefix + " ") if fragment.prefix else ""
    at = haystack.find(found_prefix + _normalize(fragment.start))
    if at < 0:
        return False
    at += len(found_prefix)
    if at != len(_normalize(page[:start])):
        return False
    to = at + len(_normalize(fragment.start))
    if fragment.end:
        last = haystack.find(_normalize(fragment.end), to)
        to = last + len(_normalize(fragment.end))
    return to == len(_normalize(page[:end]))


def _normalize(text: str) -> str:
    """Fold case, accents and white space, as browsers do: "turkiye" matches "Türkiye"."""
    edges = (" " if edge.isspace() else "" for edge in (text[:1], text[-1:] if text.strip() else ""))
    decomposed = unicodedata.normalize("NFKD", " ".join(text.split()).join(edges))
    return _BEYOND_LATIN.sub(_drop_combining, decomposed).casefold()


def _drop_combining(found: re.Match[str]) -> str:
    return "" if unicodedata.combining(found[0]) else found[0]


def _encode(text: str) -> str:
    # "-" is special in a fragment, but quote() never encodes it; it does encode "," and "&".
    return percent_encode(text, safe="").replace("-", "%2D")
