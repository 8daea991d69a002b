"""Quotes for display, with the words that answer the question separated."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from bot.answering.answer import Answer, ArticleRef, Citation

_SPACE = re.compile(r"\s+")
_MARKUP = frozenset("\\`*_~")  # next to these, some Markdown parsers interpret asterisks differently


class QuoteParts(NamedTuple):
    """A quote on one line, in three consecutive parts.

    Args:
        before: text before the answer.
        words: words that answer the question, or an empty string if unknown.
        after: text after the answer.
    """

    before: str
    words: str
    after: str


def split_quote(citation: Citation) -> QuoteParts:
    """Split the quote of a citation into parts, with each run of white space as one space."""
    quote = citation.quote
    span = answer_span(citation)
    if span is None:
        return QuoteParts(" ".join(quote.split()), "", "")
    start, end = span
    before, after = _SPACE.sub(" ", quote[:start]).lstrip(), _SPACE.sub(" ", quote[end:]).rstrip()
    return QuoteParts(before, " ".join(quote[start:end].split()), after)


def answer_span(citation: Citation) -> tuple[int, int] | None:
    """Return the offsets in the quote of the words that answer, without surrounding white space.

    Returns:
        Start and end, or None if the words are unknown, empty or outside the quote.
    """
    if citation.answer_span is None:
        return None
    start, end = citation.answer_span
    if not 0 <= start < end <= len(citation.quote):
        return None
    words = citation.quote[start:end]
    start += len(words) - len(words.lstrip())
    end -= len(words) - len(words.rstrip())
    return (start, end) if start < end else None


def bold_markdown(quote: QuoteParts, escape: Callable[[str], str]) -> str:
    """Format a quote as Markdown with the answer in bold, or plain if the asterisks would be ambiguous.

    Args:
        quote: the quote.
        escape: escapes Markdown in a text.
    """
    before, words, after = map(escape, quote)
    if words and _is_edge(before[-1:], words[0]) and _is_edge(after.removeprefix("\\")[:1], words[-1]):
        return f"{before}**{words}**{after}"
    return escape("".join(quote))


def other_articles(answer: Answer) -> tuple[ArticleRef, ...]:
    """Return the related articles without the one whose passage is shown as the closest."""
    shown = {citation.article_id for citation in answer.closest}
    return tuple(article for article in answer.nearest if article.article_id not in shown)


def nearest_heading(answer: Answer) -> str:
    """Return the heading of the related articles."""
    return "Other articles that came near:" if answer.closest else "The nearest articles:"


def _is_edge(outside: str, inside: str) -> bool:
    """Return True if `**` between these characters starts or ends emphasis (CommonMark, "Emphasis")."""
    if outside in _MARKUP:
        return False
    return inside.isalnum() or not outside or unicodedata.category(outside)[0] in "PSZ"
