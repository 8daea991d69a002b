"""What a sentence claims and the text it cites lacks, said for people."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from bot.articles.chunking import Span
from bot.verification.claims.dates import dates, missing_dates
from bot.verification.claims.numbers import missing_numbers
from bot.verification.claims.quotations import missing_quotations

# A letter of another alphabet that looks like one of this, by which a number or name is not known for what it is.
_MIXED = re.compile(r"\b\w*(?:[a-zA-Z][\u0370-\u052f]|[\u0370-\u052f][a-zA-Z])\w*")


def find_missing(sentence: str, sources: Sequence[str], *, context: str = "") -> list[str]:
    """Return the quotations, dates and numbers of `sentence` that `number_passages` lack, such as "the number 12".

    Numbers and dates may stand in `context` as well, a quotation may not.
    """
    return list(_lacking(sentence, sources, "\n".join(sources), context))


def _lacking(sentence: str, sources: Sequence[str], text: str, context: str) -> Iterator[str]:
    for quotation in missing_quotations(sentence, sources):
        yield f"the quotation “{quotation.strip()}”"
    for date in missing_dates(sentence, text, context=context):
        yield f"the date {date}"
    for number in missing_numbers(_without_dates(sentence), _without_days(f"{text}\n{context}")):
        yield f"the number {number}"
    for word in _MIXED.findall(sentence):
        if word not in text:
            yield f"the word {word}"


def _without_dates(text: str) -> str:
    return _blanked(text, [dated.span for dated in dates(text)])


@lru_cache(maxsize=512)
def _without_days(text: str) -> str:
    """Blank the days, lest "12 men" be found in "12 June"; years stay, as they may be numbers."""
    return _blanked(text, [dated.span for dated in dates(text) if dated.month])


def _blanked(text: str, spans: Sequence[Span]) -> str:
    for start, end in spans:
        text = text[:start] + ";" * (end - start) + text[end:]
    return text
