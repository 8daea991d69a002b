"""Parses English date expressions into date ranges."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Literal, NamedTuple

from bot.retrieval.date_range import DAY, DateRange, ReferenceTime, add_months, latest_day, latest_month

Kind = Literal["day", "month", "year", "weekday", "relative", "ago"]

_MIN_YEAR = 1800
_NUMBER_WORDS = (
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}  # first months, in the north
_AMBIGUOUS_MONTHS = frozenset({"may", "march", "mar", "august"})  # also words in lower case
_COUNT = rf"(?P<count>(?:a\s+)?couple\s+of|an?\b|{'|'.join(_NUMBER_WORDS)}|(?<![0-9.,])[0-9]{{1,3}})"
_NTH, _UPTO = (rf"(?P<{name}>[0-9]{{1,2}})(?:st|nd|rd|th)?\b" for name in ("day", "upto"))
_YEAR = r"(?:18|19|20|21)[0-9]{2}\b"
WEEKDAY = r"(?ai:(?:mon|tues|wednes|thurs|fri|satur|sun)day)\b"
_MONTH = (
    r"(?ai:(?:january|february|march|april|may|june|july|august|september|october|november|december)\b"
    r"|(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\b\.?)"
)
_TO = r"(?:\s?[-–—]\s?|\s+(?:and|or|to|until|through)\s+)"
_PART = r"(?:(?:early|mid|late)[\s-]+)?"
_ON = rf"(?:{WEEKDAY},?\s+)?(?:the\s+)?"
_DAYS = rf"{_NTH}(?:{_TO}{_UPTO})?"
_OF_YEAR = rf"(?:,?\s+(?P<year>{_YEAR}))?"
_NIGHT = r"\s+(?:morning|afternoon|evening|night)\b"
_UNIT = r"(?P<unit>hour|day|week|month|year)"
_Parser = Callable[[ReferenceTime, "re.Match[str]"], DateRange | None]


class ParsedDate(NamedTuple):
    """Date range of a date expression, and the kind of the expression."""

    kind: Kind
    span: DateRange


def parse_date_expression(words: str, clock: ReferenceTime) -> ParsedDate | None:
    """Parse an expression matched by `DATE`, or return None if it is not a date, or not one of the calendar.

    Args:
        words: the matched text.
        clock: the reference time for relative expressions and for dates without a year.
    """
    for kind, pattern, read in _FORMS:
        if match := re.fullmatch(pattern, words):
            try:
                span = read(clock, match)
            except (ValueError, OverflowError):  # 30 February, or outside of the calendar's range
                return None
            return ParsedDate(kind, span) if span else None
    return None


def _month_number(name: str) -> int:
    return _MONTHS.index(name[:3].lower()) + 1


def _year_range(clock: ReferenceTime, first: int, last: int) -> DateRange | None:
    if not _MIN_YEAR <= first <= last <= clock.today.year + 1:
        return None
    return clock.span(date(first, 1, 1), date(last + 1, 1, 1))


def _read_numeric(clock: ReferenceTime, m: re.Match[str]) -> DateRange | None:
    if m["iso"]:
        day = date.fromisoformat(m["iso"].replace("/", "-"))
    else:
        month, number = sorted((int(m["a"]), int(m["b"])))
        if number <= 12 and month != number:  # 6/1/2021 is in January or in June, depending on the country
            return None
        day = date(int(m["year"]), month, number)
    return DateRange(clock.midnight(day), clock.midnight(day + DAY), None)


def _read_days(clock: ReferenceTime, m: re.Match[str]) -> DateRange | None:
    month, words = _month_number(m["month"]), m.groupdict()
    if not m["year"] and m["month"] in _AMBIGUOUS_MONTHS:
        return None
    number = int(words.get("upto") or m["day"])
    last = date(int(m["year"]), month, number) if m["year"] else latest_day(number, month, clock.latest)
    if not last:
        return None
    if words.get("upto"):
        first = last.replace(day=int(m["day"]))
        return clock.span(first, last + DAY) if first < last else None
    # Events of a day are reported for years, so a day excludes only articles published before it.
    return DateRange(clock.midnight(last), clock.midnight(last + DAY), None)


def _read_months(clock: ReferenceTime, m: re.Match[str]) -> DateRange | None:
    if not m["year"] and m["month"] in _AMBIGUOUS_MONTHS:
        return None
    last = _month_number(m["upto"] or m["month"])
    if not m["year"]:
        this_month = clock.today.replace(day=1)
        end = latest_month(last, this_month - DAY if m["near"] else clock.latest)
    else:
        year = clock.today.year - m["year"].startswith("last") if m["year"][0] in "lt" else int(m["year"])
        end = date(year, last, 1)
    return clock.span(latest_month(_month_number(m["month"]), end), add_months(end, 1))


def _read_season(clock: ReferenceTime, m: re.Match[str]) -> DateRange:
    first = date(int(m["year"]), _SEASONS[m["season"].lower()], 1)
    return clock.span(first, add_months(first, 3))


def _read_years(clock: ReferenceTime, m: re.Match[str]) -> DateRange | None:
    first, last = sorted((int(m["year"]), int(m["upto"] or m["year"])))
    return _year_range(clock, first, last)


def _read_weekday(clock: ReferenceTime, m: re.Match[str]) -> DateRange:
    day = clock.latest - DAY * ((clock.latest.weekday() - _WEEKDAYS.index(m["weekday"][:3].lower())) % 7)
    if m["which"] and m["which"].endswith(("last", "past")) and day == clock.today:
        day -= 7 * DAY
    return clock.span(day, day + DAY, clock.tomorrow)


def _read_relative_day(clock: ReferenceTime, m: re.Match[str]) -> DateRange:
    days_back = 2 if "before" in m[0] else 1 if m[0][0] in "yl" else 0
    day = clock.today - DAY * days_back
    # An event may be reported the day after.
    return clock.span(day, day + DAY, day + DAY * (2 if days_back else 1))


def _read_weekend(clock: ReferenceTime, _: re.Match[str]) -> DateRange:
    saturday = clock.today - DAY * ((clock.today.weekday() - 5) % 7)
    return clock.span(saturday, saturday + 2 * DAY, saturday + 3 * DAY)


def _read_this(clock: ReferenceTime, m: re.Match[str]) -> DateRange | None:
    part, unit = m["part"], m["unit"]
    if part == "later" or (part == "earlier" and unit == "year"):  # the future, and background of an event
        return None
    today = clock.today
    if unit == "week":
        return clock.span(today - 7 * DAY, clock.tomorrow)
    return clock.span(today.replace(day=1, month=1 if unit == "year" else today.month), clock.tomorrow)


def _read_last(clock: ReferenceTime, m: re.Match[str]) -> DateRange | None:
    today, month = clock.today, clock.today.replace(day=1)
    if m["unit"] == "week":
        monday = today - DAY * today.weekday()
        return clock.span(monday - 7 * DAY, monday, monday + DAY)
    if m["unit"] == "month":
        return clock.span(add_months(month, -1), month)
    if m["unit"] == "year":
        return clock.span(add_months(month, -month.month - 11), month.replace(month=1))
    end = add_months(latest_month(_SEASONS[m["unit"]], month), 3)
    end = end if end <= month else add_months(end, -12)
    return clock.span(add_months(end, -3), end)


def _parse_count(words: str) -> int:
    if words in {"a", "an"}:
        return 1
    return (
        2 if "couple" in words else _NUMBER_WORDS.index(words) + 1 if words in _NUMBER_WORDS else int(words)
    )


def _read_ago(clock: ReferenceTime, m: re.Match[str]) -> DateRange | None:
    today, count = clock.today, _parse_count(m["count"])
    if m["unit"] == "year":
        return _year_range(clock, today.year - count, today.year - count)
    if m["unit"] == "month":
        first = add_months(today.replace(day=1), -count)
        return clock.span(first, add_months(first, 1))
    if m["unit"] == "week":
        day = today - 7 * count * DAY
        return clock.span(day - 3 * DAY, day + 4 * DAY)
    day = today - count * DAY
    return clock.span(day, day + DAY, day + 2 * DAY)


def _read_past_period(clock: ReferenceTime, m: re.Match[str]) -> DateRange:
    now, unit, count = clock.now, m["unit"], _parse_count(m.groupdict().get("count") or "one")
    months = {"month": count, "year": 12 * count}.get(unit)
    if unit == "hour":  # hours are elapsed time across a daylight saving change, days are not
        since = (now.astimezone(UTC) - timedelta(hours=count)).astimezone(now.tzinfo)
    elif months:
        since = datetime.combine(add_months(clock.today, -months), now.time(), tzinfo=now.tzinfo)
    else:
        since = now - DAY * count * (7 if unit == "week" else 1)
    tomorrow = clock.midnight(clock.tomorrow)
    return DateRange(since, tomorrow, tomorrow)


# If two patterns have the same beginning, the longer one comes first. `re` compiles and caches them on first
# use, so that commands without a question do not spend time on it.
_FORMS: tuple[tuple[Kind, str, _Parser], ...] = (
    (
        "day",
        rf"(?P<iso>{_YEAR}[-/][0-9]{{2}}[-/][0-9]{{2}}\b)"
        rf"|(?P<a>[0-9]{{1,2}})[./](?P<b>[0-9]{{1,2}})[./](?P<year>{_YEAR})",
        _read_numeric,
    ),
    ("day", rf"{_ON}{_DAYS}\s+(?:of\s+)?(?P<month>{_MONTH}){_OF_YEAR}", _read_days),
    ("day", rf"{_ON}(?P<month>{_MONTH})\s+(?:the\s+)?{_DAYS}{_OF_YEAR}", _read_days),
    (
        "month",
        rf"{_PART}(?:(?P<near>last)\s+)?(?P<month>{_MONTH})(?:{_TO}{_PART}(?P<upto>{_MONTH}))?"
        rf"(?:,?\s+(?:of\s+)?(?P<year>{_YEAR}|(?:last|this)\s+year\b))?",
        _read_months,
    ),
    (
        "month",
        rf"{_PART}(?:the\s+)?(?P<season>(?ai:{'|'.join(_SEASONS)}))\s+(?:of\s+)?(?P<year>{_YEAR})",
        _read_season,
    ),
    (
        "year",
        rf"{_PART}(?P<year>{_YEAR})(?:(?:,\s+|,?\s+(?:and|or)\s+)(?P<upto>{_YEAR}))*",
        _read_years,
    ),
    (
        "weekday",
        rf"(?:(?P<which>last|this\s+past|past|this|early|late)\s+)?(?P<weekday>{WEEKDAY})(?:{_NIGHT})?",
        _read_weekday,
    ),
    (
        "relative",
        rf"today\b|tonight\b|this{_NIGHT}|yesterday(?:{_NIGHT})?\b|last\s+night\b"
        r"|the\s+day\s+before\s+yesterday\b",
        _read_relative_day,
    ),
    ("relative", r"(?:(?:over|at|on|during)\s+the|this(?:\s+past)?|last)\s+week-?end\b", _read_weekend),
    (
        "relative",
        r"(?:(?:(?P<part>early|earlier|late|later)\s+)?this|the\s+(?:start|beginning)\s+of\s+(?:the|this))"
        r"\s+(?P<unit>week|month|year)\b",
        _read_this,
    ),
    ("relative", rf"(?:the\s+)?(?:last|past|previous)\s+{_COUNT}\s+{_UNIT}s?\b", _read_past_period),
    ("relative", rf"(?:the\s+(?:last|past)|this\s+past)\s+{_UNIT}\b", _read_past_period),
    (
        "relative",
        rf"{_PART}(?:last|this\s+past|previous)\s+(?P<unit>week|month|year|{'|'.join(_SEASONS)})\b",
        _read_last,
    ),
    ("ago", rf"{_COUNT}\s+(?P<unit>day|week|month|year)s?\s+ago\b", _read_ago),
)
DATE = "(?:" + "|".join(re.sub(r"\(\?P<\w+>", "(?:", pattern) for _, pattern, _ in _FORMS) + ")"
