"""Citations: the place in an article that a sentence stands on, numbered by first use."""

from __future__ import annotations

from typing import Any

from bot.answers.answer import Citation, Nearest
from bot.answers.links import page_link, quote_link
from bot.articles.library import Library
from bot.articles.passages import Span
from bot.articles.records import Headline
from bot.retrieval.hits import Hit


class Bibliography:
    """The citations of one answer. The same place cited twice keeps its number."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._cited: dict[tuple[str, Span], Citation] = {}

    @property
    def citations(self) -> tuple[Citation, ...]:
        """All citations so far, by their numbers."""
        return tuple(self._cited.values())

    def cite(self, hit: Hit, span: Span) -> int:
        """Return the number of this place; `span` counts in the article's text."""
        key = (hit.passage.id, span)
        if key not in self._cited:
            self._cited[key] = self._citation(len(self._cited) + 1, hit, span)
        return self._cited[key].n

    def _citation(self, n: int, hit: Hit, span: Span) -> Citation:
        at = hit.passage.start
        # By version: in the text of a correction that came in since, the offsets mean other words.
        article = self._library.article(hit.headline.article_id, hit.headline.version)
        page = article.page(span.start) if article else None
        return Citation(
            n=n,
            passage_id=hit.passage.id,
            version=hit.headline.version,
            start=span.start,
            end=span.end,
            quote=hit.passage.text[span.start - at : span.end - at],
            link=_link(hit.headline, span, article.text if article else "", page),
            page=page,
            copies=tuple(Nearest(**named(copy)) for copy in hit.copies),
            **named(hit.headline),
        )


def _link(headline: Headline, span: Span, text: str, page: int | None) -> str | None:
    if page is None:
        return quote_link(headline.url, title=headline.title, text=text, start=span.start, end=span.end)
    return page_link(headline.url, page)


def named(headline: Headline) -> dict[str, Any]:
    """Return the fields by which answers name an article."""
    return {
        "article_id": headline.article_id,
        "title": headline.title,
        "source": headline.source,
        "published": headline.published,
        "url": headline.url,
    }
