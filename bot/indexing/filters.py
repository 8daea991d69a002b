"""Search filters: publication window, sources and tags."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

# calendar.month_name depends on the locale of the server.
_MONTHS = re.findall(
    r"\w+", "January February March April May June July August September October November December"
)


@dataclass(frozen=True, slots=True)
class SearchFilters:
    """Conditions that restrict a search; without any, all articles match.

    An article matches if it was published in the window, is from one of the sources, and has one of the tags. Values
    are compared, never parsed as query syntax.
    """

    window: TimeWindow | None = None
    sources: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    @property
    def is_restrictive(self) -> bool:
        """True if the filters can exclude an article."""
        has_window = self.window and (self.window.since or self.window.until)
        return bool(has_window or self.sources or self.tags)

    def matches(self, published: datetime | None, source: str, tags: Iterable[str]) -> bool:
        """Return True if an article with these values matches the filters; the indexes apply the same rules."""
        window = self.window
        if window and window.since and (published is None or published < window.since):
            return False
        if window and window.until and (published is None or published >= window.until):
            return False
        if self.sources and normalize_label(source) not in map(normalize_label, self.sources):
            return False
        return not self.tags or not {*map(normalize_label, self.tags)}.isdisjoint(map(normalize_label, tags))


def normalize_label(label: str) -> str:
    """Normalize case, whitespace and Unicode composition of a source or tag."""
    return unicodedata.normalize("NFC", " ".join(label.split()).casefold())


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """Publication window from `since` (inclusive) to `until` (exclusive).

    Attributes:
        words: the words of the question that it was read from; empty if it was set by an option.
    """

    since: datetime | None = None
    until: datetime | None = None
    words: str = ""

    @property
    def label(self) -> str:
        """Window in words: "10–17 June 2022", "June 2022", "since 6 January 2021"."""
        if self.since and self.until:
            return _format_range(self.since, self.until)
        if self.since:
            return f"since {_format_day(self.since.date())}"
        if self.until:
            whole = self.until.time() == time.min or self.until.date() == date.max
            return f"before {_format_day(self.until.date() + timedelta(days=not whole))}"
        return ""


def _format_day(day: date) -> str:
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def _format_range(since: datetime, until: datetime) -> str:
    first, last = (
        _format_day(since.date()).split(),
        _format_day((until - timedelta(microseconds=1)).date()).split(),
    )
    if since.day == until.day == 1 and since.time() == until.time() == time.min:
        whole = 2 if since.month == until.month == 1 else 1
        first, last = first[whole:], last[whole:]
    end = " ".join(last)
    while first and first[-1] == last[-1]:  # write shared parts once
        first, last = first[:-1], last[:-1]
    if not first:
        return end
    return f"{' '.join(first)}{'–' if len(first) == 1 else ' – '}{end}"
