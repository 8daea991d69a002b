"""Dates: which of a sentence's dates no text has, whichever way either of them writes a day."""

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
    """A date as far as it is given, and where it stands; `weekday` counts from Monday, 0."""

    span: Span
    year: int | None = None
    month: int | None = None
    day: int | None = None
    weekday: int | None = None


def missing_dates(sentence: str, text: str, *, context: str = "") -> list[str]:
    """Return the dates of `sentence`, as it writes them, that neither `text` nor `context` has.

    What `text` says by the day it was published on ("Friday", "yesterday", "last year") counts as a date
    when `context` holds that day.
    """
    claimed = dates(sentence)
    if not claimed:
        return []
    known = _known(text, context)
    return [sentence[dated.span.start : dated.span.end] for dated in claimed if not known.has(dated)]


@dataclass(frozen=True, slots=True)
class _KnownDates:
    """The dates of a text: those it states, and those that follow from the day it was published on.

    What follows counts only where the text states nothing of the kind: else the sentence may have changed it.
    """

    stated: tuple[DateMention, ...]
    published: tuple[DateMention, ...]
    spoken: tuple[DateMention, ...]
    years: frozenset[int]

    def has(self, claimed: DateMention) -> bool:
        """Say whether one date has all that is claimed; its year may stand apart."""
        if claimed.weekday is not None:
            return self._has_weekday(claimed.weekday)
        if claimed.month is None:
            return claimed.year in self.years
        if claimed.day is None:
            stated = [dated for dated in self.stated if dated.month]
            return self._agreeing(claimed, stated or self.following)
        stated = [dated for dated in self.stated if dated.day]
        return self._agreeing(claimed, stated or self.following)

    def _has_weekday(self, weekday: int) -> bool:
        stated = {dated.weekday for dated in self.stated} - {None}
        # That an article is of a Monday does not say that what it tells was on Monday.
        return weekday in (stated or {_weekday(dated) for dated in (*self.stated, *self.spoken)})

    @property
    def following(self) -> tuple[DateMention, ...]:
        """What follows from the day it was published on, that day included."""
        return (*self.published, *self.spoken)

    def _agreeing(self, claimed: DateMention, known: Iterable[DateMention]) -> bool:
        return any(_matches(claimed, dated, self.years) for dated in known)


@lru_cache(maxsize=512)
def _known(text: str, context: str) -> _KnownDates:
    stated, around = dates(text), dates(context)
    spoken = tuple(dated for published in _days(around) for dated in _relative_dates(text, published))
    years = {dated.year for dated in (*stated, *around, *spoken)} | {
        int(year) for year in re.findall(_YEAR, f"{text}\n{context}")
    }
    years |= {int(number.value) for number in numbers(text) if number.value.isdecimal()}  # "2,000 men"
    return _KnownDates(stated, around, spoken, frozenset(year for year in years if year))


@lru_cache(maxsize=512)
def dates(text: str) -> tuple[DateMention, ...]:
    """Return the dates of `text` in order; a range gives both its ends."""
    return tuple(dated for match in _DATE.finditer(text) for dated in _dated(match))


def _dated(match: re.Match[str]) -> Iterator[DateMention]:
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
        yield from _with_month(span, {name.rstrip("3456"): value for name, value in found.items() if value})


def _with_month(span: Span, found: dict[str, str]) -> Iterator[DateMention]:
    word = found["month"]
    if "day" not in found and word.rstrip(".").lower() in _CAPITAL_ONLY and not word[0].isupper():
        return
    month = _MONTHS.index(word[:3].lower()) + 1
    year = int(found["year"]) if "year" in found else None
    for day in (found.get("day"), found.get("last")):
        if day:
            yield DateMention(span, year, month, int(re.match(r"\d+", day)[0]))  # type: ignore[index]  # _DAY begins so
    if "day" not in found:
        yield DateMention(span, year, month)


def _days(found: tuple[DateMention, ...]) -> Iterator[date]:
    for dated in found:
        if dated.year and dated.month and dated.day:
            try:
                yield date(dated.year, dated.month, dated.day)
            except ValueError:  # no such day
                continue


def _relative_dates(text: str, published: date) -> Iterator[DateMention]:
    """Yield the dates that `text` gives by the day it was published on."""
    nowhere = Span(0, 0)
    for match in _RELATIVE_YEAR.finditer(text):
        yield DateMention(nowhere, published.year + _STEPS.get((match[1] or match[2]).lower(), 0))
    for match in _RELATIVE_MONTH.finditer(text):
        months = published.year * 12 + published.month - 1 + _STEPS.get(match[1].lower(), 0)
        yield DateMention(nowhere, months // 12, months % 12 + 1)
    for match in _RELATIVE_DAY.finditer(text):
        yield _whole(published, _STEPS.get(match[1].lower(), 0))
    for weekday in {dated.weekday for dated in dates(text)} - {None}:
        yield from (_whole(published, _days_until(weekday, published) - back) for back in (0, _WEEK))


def _days_until(weekday: int | None, published: date) -> int:
    return ((weekday or 0) - published.weekday()) % _WEEK


def _whole(published: date, days: int) -> DateMention:
    day = date.fromordinal(min(max(published.toordinal() + days, 1), date.max.toordinal()))
    return DateMention(Span(0, 0), day.year, day.month, day.day, day.weekday())


def _matches(claimed: DateMention, other: DateMention, years: frozenset[int]) -> bool:
    if claimed.month != other.month or (claimed.day is not None and claimed.day != other.day):
        return False
    return claimed.year in {None, other.year} or (other.year is None and claimed.year in years)


def _weekday(dated: DateMention) -> int | None:
    return next((day.weekday() for day in _days((dated,))), None)
