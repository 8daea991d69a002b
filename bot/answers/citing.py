"""Citations: the place in an article that a sentence stands on, numbered by first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.answers.answer import Citation, Nearest
from bot.answers.links import page_link, quote_link
from bot.answers.sealed import SealedLinks
from bot.articles.article import is_web_url
from bot.articles.library import Library
from bot.articles.passages import Span, split_sentences
from bot.articles.records import Headline
from bot.retrieval.hits import Hit
from bot.text.shingles import holds

if TYPE_CHECKING:
    from bot.answers.extractive import Quote

_LONGEST = 200_000  # characters of an article that is compared sentence by sentence, while a reader waits


class Bibliography:
    """The citations of one answer. The same place cited twice keeps its number."""

    def __init__(self, library: Library, sealed: SealedLinks | None = None) -> None:
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
            copies=tuple(Nearest(**named(copy)) for copy in hit.copies if self._says(copy, quote)),
            **named(hit.headline),
        )

    def _says(self, copy: Headline, quote: str) -> bool:
        """Say whether an article that carries the same story has these sentences too."""
        article = self._library.article(copy.article_id, copy.version)
        if article is None or len(article.text) > _LONGEST:
            return article is not None and quote in article.text
        sentences = (quote[part.start : part.end] for part in split_sentences(quote))
        return all(holds(article.text, sentence) for sentence in sentences)

    def _link(self, hit: Hit, span: Span, answer: Span | None, text: str, page: int | None) -> str | None:
        headline = hit.headline
        if self._sealed and self._sealed.are_public and not is_web_url(headline.url):
            place = (headline.article_id, headline.version, span, hit.passage.id)
            return self._sealed.link(*place, answer=answer)
        if page is not None:
            return page_link(headline.url, page)
        return quote_link(headline.url, title=headline.title, text=text, start=span.start, end=span.end)


def named(headline: Headline) -> dict[str, Any]:
    """Return the fields by which answers name an article."""
    return {
        "article_id": headline.article_id,
        "title": headline.title,
        "source": headline.source,
        "published": headline.published,
        "url": headline.url,
    }
