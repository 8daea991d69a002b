"""Date matching: find the dates of a sentence that its source lacks, in any notation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from bot.articles.chunking import Span
from bot.verification.claims.numbers import numbers

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_DAY = r"(?:0?[1-9]|[12][0-9]|3[01])(?:st|nd|rd|th)?(?![\w%]|[.:]\d|,\d{1,3}(?!\d))"
_YEAR = r"(?:1[5-9]|20)\d\d(?!\w|[.,]\d)"
_TO = r"\s?(?:[-–—/&,]|and|or|to|through|until)\s?"
_DATE = re.compile(
    rf"""\b(?:
        (?P<iso> (?P<y1>{_YEAR})-(?P<m1>\d\d)-(?P<d1>\d\d) \b )
      | (?P<slashed> (?P<a>\d\d?)[/.](?P<b>\d\d?)[/.](?P<y2>{_YEAR}) )
      | (?P<month3>{_MONTH}) \s (?P<day3>{_DAY}) (?: {_TO} (?P<last3>{_DAY}) )?
        (?: (?:,\s?|\s) (?:of\s|in\s)? (?P<year3>{_YEAR}) )?
      | (?:the\s)? (?P<day4>{_DAY}) (?: {_TO} (?P<last4>{_DAY}) )? \s (?:day\s)? (?:of\s)? (?P<month4>{_MONTH})
        (?: ,?\s (?:of\s|in\s)? (?P<year4>{_YEAR}) )?
      | (?P<month5>{_MONTH}) ,?\s (?:of\s|in\s)? (?P<year5>{_YEAR})
      | (?P<month6> (?<=[a-z]\s)(?:May|March)
        | January|February|April|June|July|August|September|October|November|December )\b
      | (?P<weekday> (?:mon|tues|wednes|thurs|fri|satur|sun)day )s?\b
      | (?P<year> (?<![$£€¥.,]) {_YEAR} (?![-–/]\d) ) (?!\ (?:percent|people|km|miles|million|billion|dollars))
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_CAPITAL_ONLY = frozenset({"may", "march", "mar"})
_RELATIVE_YEAR = re.compile(r"\b(last|this|next|previous) year\b|\ba year (ago|earlier)\b", re.IGNORECASE)
_RELATIVE_MONTH = re.compile(r"\b(last|this|next|previous) month\b", re.IGNORECASE)
_RELATIVE_DAY = re.compile(
    r"\b(today|tonight|yesterday|tomorrow|this (?:morning|afternoon|evening))\b", re.IGNORECASE
)
_STEPS = {"last": -1, "previous": -1, "ago": -1, "earlier": -1, "next": 1, "yesterday": -1, "tomorrow": 1}
_WEEK = 7


@dataclass(frozen=True, slots=True)
class DateMention:
    """A complete or partial date and its span in the text; `weekday` is 0 for Monday."""

    span: Span
    year: int | None = None
    month: int | None = None
    day: int | None = None
    weekday: int | None = None


def missing_dates(sentence: str, text: str, *, context: str = "") -> list[str]:
    """Return the dates of `sentence`, as written, that neither `text` nor `context` contains.

    Dates in `text` that are relative to its publication ("Friday", "yesterday", "last year") count if `context`
    contains the publication date.
    """
    claimed = dates(sentence)
    if not claimed:
        return []
    known = _collect_known_dates(text, context)
    return [sentence[dated.span.start : dated.span.end] for dated in claimed if not known.has(dated)]


@dataclass(frozen=True, slots=True)
class _KnownDates:
    """The dates of a text: explicit ones, and those derived from its publication date.

    Derived dates count only if the text has no explicit date of that kind: otherwise the sentence may have changed it.

    Args:
        stated: explicit dates of the text.
        published: explicit dates of the context, such as the publication date.
        relative: dates that relative expressions refer to.
        years: all years in the text and the context.
    """

    stated: tuple[DateMention, ...]
    published: tuple[DateMention, ...]
    relative: tuple[DateMention, ...]
    years: frozenset[int]

    def has(self, claimed: DateMention) -> bool:
        """Return True if a known date has all parts of the claimed date; the year may be elsewhere in the text."""
        if claimed.weekday is not None:
            return self._has_weekday(claimed.weekday)
        if claimed.month is None:
            return claimed.year in self.years
        if claimed.day is None:
            stated = [dated for dated in self.stated if dated.month]
            return self._has_match(claimed, stated or self.derived_dates)
        stated = [dated for dated in self.stated if dated.day]
        return self._has_match(claimed, stated or self.derived_dates)

    def _has_weekday(self, weekday: int) -> bool:
        stated = {dated.weekday for dated in self.stated} - {None}
        # An article published on a Monday does not necessarily report events of that Monday.
        return weekday in (stated or {_weekday_of(dated) for dated in (*self.stated, *self.relative)})

    @property
    def derived_dates(self) -> tuple[DateMention, ...]:
        """Dates derived from the publication date, including that date."""
        return (*self.published, *self.relative)

    def _has_match(self, claimed: DateMention, known: Iterable[DateMention]) -> bool:
        return any(_matches(claimed, dated, self.years) for dated in known)


@lru_cache(maxsize=512)
def _collect_known_dates(text: str, context: str) -> _KnownDates:
    stated, around = dates(text), dates(context)
    relative = tuple(dated for published in _to_days(around) for dated in _relative_dates(text, published))
    years = {dated.year for dated in (*stated, *around, *relative)} | {
        int(year) for year in re.findall(_YEAR, f"{text}\n{context}")
    }
    years |= {int(number.value) for number in numbers(text) if number.value.isdecimal()}  # "2,000 men"
    return _KnownDates(stated, around, relative, frozenset(year for year in years if year))


@lru_cache(maxsize=512)
def dates(text: str) -> tuple[DateMention, ...]:
    """Return the dates of `text` in order; a range yields both ends."""
    return tuple(dated for match in _DATE.finditer(text) for dated in _parse_match(match))


def _parse_match(match: re.Match[str]) -> Iterator[DateMention]:
    span, found = Span(*match.span()), match.groupdict()
    if found["iso"]:
        yield DateMention(span, int(found["y1"]), int(found["m1"]), int(found["d1"]))
    elif found["slashed"]:
        first, second = int(found["a"]), int(found["b"])
        yield DateMention(span, int(found["y2"]), first, second)
        yield DateMention(span, int(found["y2"]), second, first)
    elif found["weekday"]:
        yield DateMention(span, weekday=_WEEKDAYS.index(found["weekday"][:3].lower()))
    elif found["year"]:
        yield DateMention(span, year=int(found["year"]))
    else:
        yield from _parse_with_month(
            span, {name.rstrip("3456"): value for name, value in found.items() if value}
        )


def _parse_with_month(span: Span, found: dict[str, str]) -> Iterator[DateMention]:
    word = found["month"]
    if "day" not in found and word.rstrip(".").lower() in _CAPITAL_ONLY and not word[0].isupper():
        return
    month = _MONTHS.index(word[:3].lower()) + 1
    year = int(found["year"]) if "year" in found else None
    for day in (found.get("day"), found.get("last")):
        if day:
            yield DateMention(span, year, month, int(re.match(r"\d+", day)[0]))  # type: ignore[index]  # _DAY starts with digits
    if "day" not in found:
        yield DateMention(span, year, month)


def _to_days(found: tuple[DateMention, ...]) -> Iterator[date]:
    for dated in found:
        if dated.year and dated.month and dated.day:
            try:
                yield date(dated.year, dated.month, dated.day)
            except ValueError:  # invalid date, such as February 30
                continue


def _relative_dates(text: str, published: date) -> Iterator[DateMention]:
    """Yield the dates that `text` gives relative to its publication date."""
    nowhere = Span(0, 0)
    for match in _RELATIVE_YEAR.finditer(text):
        yield DateMention(nowhere, published.year + _STEPS.get((match[1] or match[2]).lower(), 0))
    for match in _RELATIVE_MONTH.finditer(text):
        months = published.year * 12 + published.month - 1 + _STEPS.get(match[1].lower(), 0)
        yield DateMention(nowhere, months // 12, months % 12 + 1)
    for match in _RELATIVE_DAY.finditer(text):
        yield _shift_days(published, _STEPS.get(match[1].lower(), 0))
    for weekday in {dated.weekday for dated in dates(text)} - {None}:
        yield from (_shift_days(published, _days_until(weekday, published) - back) for back in (0, _WEEK))


def _days_until(weekday: int | None, published: date) -> int:
    return ((weekday or 0) - published.weekday()) % _WEEK


def _shift_days(published: date, days: int) -> DateMention:
    day = date.fromordinal(min(max(published.toordinal() + days, 1), date.max.toordinal()))
    return DateMention(Span(0, 0), day.year, day.month, day.day, day.weekday())


def _matches(claimed: DateMention, other: DateMention, years: frozenset[int]) -> bool:
    if claimed.month != other.month or (claimed.day is not None and claimed.day != other.day):
        return False
    return claimed.year in {None, other.year} or (other.year is None and claimed.year in years)


def _weekday_of(dated: DateMention) -> int | None:
    return next((day.weekday() for day in _to_days((dated,))), None)
