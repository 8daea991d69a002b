"""Describe the numbers, dates and quotations of a sentence that its source lacks, for users."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from bot.articles.chunking import Span
from bot.verification.claims.dates import dates, missing_dates
from bot.verification.claims.numbers import missing_numbers
from bot.verification.claims.quotations import missing_quotations

# A word with a lookalike letter of another alphabet, which hides a number or name from the checks.
_MIXED = re.compile(r"\b\w*(?:[a-zA-Z][\u0370-\u052f]|[\u0370-\u052f][a-zA-Z])\w*")


def find_missing(sentence: str, sources: Sequence[str], *, context: str = "") -> list[str]:
    """Return the quotations, dates and numbers of `sentence` that `sources` lack, such as "the number 12".

    Args:
        sentence: the sentence.
        sources: the cited texts.
        context: text in which numbers and dates, but not quotations, also count as present.
    """
    return list(_iter_missing(sentence, sources, "\n".join(sources), context))


def _iter_missing(sentence: str, sources: Sequence[str], text: str, context: str) -> Iterator[str]:
    for quotation in missing_quotations(sentence, sources):
        yield f"the quotation “{quotation.strip()}”"
    for date in missing_dates(sentence, text, context=context):
        yield f"the date {date}"
    for number in missing_numbers(_blank_out_dates(sentence), _blank_out_days(f"{text}\n{context}")):
        yield f"the number {number}"
    for word in _MIXED.findall(sentence):
        if word not in text:
            yield f"the word {word}"


def _blank_out_dates(text: str) -> str:
    return _blank_out(text, [dated.span for dated in dates(text)])


@lru_cache(maxsize=512)
def _blank_out_days(text: str) -> str:
    """Blank out days so that "12 men" does not match "12 June"; keep years, which may be numbers."""
    return _blank_out(text, [dated.span for dated in dates(text) if dated.month])


def _blank_out(text: str, spans: Sequence[Span]) -> str:
    for start, end in spans:
        text = text[:start] + ";" * (end - start) + text[end:]
    return text
