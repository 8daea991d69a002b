"""The conditions that narrow a search before anything is ranked."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

# calendar.month_name would follow the server's language.
_MONTHS = re.findall(
    r"\w+", "January February March April May June July August September October November December"
)


@dataclass(frozen=True, slots=True)
class SearchFilters:
    """Which articles may be searched; nothing set means all. Values are data: they are compared, never parsed.

    An article passes when it lies in the window, is of one of the sources, and has one of the tags.
    """

    window: TimeWindow | None = None
    sources: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    @property
    def is_restrictive(self) -> bool:
        """Whether there is an article that might not pass."""
        timed = self.window and (self.window.since or self.window.until)
        return bool(timed or self.sources or self.tags)

    def matches(self, published: datetime | None, source: str, tags: Iterable[str]) -> bool:
        """Say whether an article with these passes, as the indexes do."""
        window = self.window
        if window and window.since and (published is None or published < window.since):
            return False
        if window and window.until and (published is None or published >= window.until):
            return False
        if self.sources and normalize_label(source) not in map(normalize_label, self.sources):
            return False
        return not self.tags or not {*map(normalize_label, self.tags)}.isdisjoint(map(normalize_label, tags))


def normalize_label(label: str) -> str:
    """Return the form of an outlet's name or a tag in which case, blanks and the writing of accents do not matter."""
    return unicodedata.normalize("NFC", " ".join(label.split()).casefold())


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """Published from `since` up to but not including `until`; `text_element` are those of the question that said so."""

    since: datetime | None = None
    until: datetime | None = None
    words: str = ""

    @property
    def label(self) -> str:
        """The window as people write it: "10–17 June 2022", "June 2022", "since 6 January 2021"."""
        if self.since and self.until:
            return _stretch(self.since, self.until)
        if self.since:
            return f"since {_day(self.since.date())}"
        if self.until:
            whole = self.until.time() == time.min or self.until.date() == date.max
            return f"before {_day(self.until.date() + timedelta(days=not whole))}"
        return ""


def _day(day: date) -> str:
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def _stretch(since: datetime, until: datetime) -> str:
    first, last = _day(since.date()).split(), _day((until - timedelta(microseconds=1)).date()).split()
    if since.day == until.day == 1 and since.time() == until.time() == time.min:
        whole = 2 if since.month == until.month == 1 else 1
        first, last = first[whole:], last[whole:]
    end = " ".join(last)
    while first and first[-1] == last[-1]:  # what both share is written once
        first, last = first[:-1], last[:-1]
    if not first:
        return end
    return f"{' '.join(first)}{'–' if len(first) == 1 else ' – '}{end}"
