"""Date ranges and calendar arithmetic in the user's time zone."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DateRange:
    """Time range from `since` (inclusive) to `until` (exclusive).

    Attributes:
        reported: end of the time in which its events are reported; None for no end.
    """

    since: datetime
    until: datetime
    reported: datetime | None


@dataclass(frozen=True, slots=True)
class ReferenceTime:
    """Current time of the user, and the date that expressions without a year refer to.

    Attributes:
        now: time of the question, with time zone.
        latest: days and months without a year are the last ones that started on or before this date.
    """

    now: datetime
    latest: date

    @property
    def today(self) -> date:
        """Date of the question."""
        return self.now.date()

    @property
    def tomorrow(self) -> date:
        """Date after the question."""
        return self.today + DAY

    def midnight(self, day: date) -> datetime:
        """Return the start of a day in the user's time zone."""
        return datetime.combine(day, time.min, tzinfo=self.now.tzinfo)

    def span(self, first: date, end: date, reported: date | None = None) -> DateRange:
        """Return the range from `first` (inclusive) to `end` (exclusive).

        Args:
            first: the first day.
            end: the day after the last one.
            reported: end of the time in which its events are reported; by default `end`.
        """
        return DateRange(self.midnight(first), self.midnight(end), self.midnight(reported or end))


def add_months(first: date, months: int) -> date:
    """Return the date some months later, or the last of the month if the month is too short.

    Raises:
        OverflowError: if the result is outside of the calendar's range.
    """
    years, month = divmod(first.month - 1 + months, 12)
    year = first.year + years
    if not date.min.year <= year <= date.max.year:
        raise OverflowError(year)
    return date(year, month + 1, min(first.day, monthrange(year, month + 1)[1]))


def latest_month(month: int, latest: date) -> date:
    """Return the first day of the last such month that started on or before `latest`."""
    return date(latest.year - (month > latest.month), month, 1)


def latest_day(day: int, month: int, latest: date) -> date | None:
    """Return the last such day on or before `latest`, or None if the calendar has none, such as 30 February."""
    years = range(latest.year, max(latest.year - 9, 0), -1)  # 29 February may be eight years back
    days = (date(year, month, day) for year in years if day <= monthrange(year, month)[1])
    return next((found for found in days if found <= latest), None)
