"""Stretches of time on the asker's calendar."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DateRange:
    """A stretch of time, and until when it is reported; None is for ever after."""

    since: datetime
    until: datetime
    reported: datetime | None


@dataclass(frozen=True, slots=True)
class ReferenceTime:
    """The asker's time; days and months without a year are the last that had begun on the day `latest`."""

    now: datetime
    latest: date

    @property
    def today(self) -> date:
        """The asker's day."""
        return self.now.date()

    @property
    def tomorrow(self) -> date:
        """The day after the asker's."""
        return self.today + DAY

    def midnight(self, day: date) -> datetime:
        """Return the start of a day in the asker's zone."""
        return datetime.combine(day, time.min, tzinfo=self.now.tzinfo)

    def span(self, first: date, end: date, reported: date | None = None) -> DateRange:
        """Return the days from `first` up to but not including `end`, reported until then unless given."""
        return DateRange(self.midnight(first), self.midnight(end), self.midnight(reported or end))


def add_months(first: date, months: int) -> date:
    """Return the day some months later, the month's last where it has no such day. Raises OverflowError."""
    years, month = divmod(first.month - 1 + months, 12)
    year = first.year + years
    if not date.min.year <= year <= date.max.year:
        raise OverflowError(year)
    return date(year, month + 1, min(first.day, monthrange(year, month + 1)[1]))


def latest_month(month: int, latest: date) -> date:
    """Return the first day of the last such month that had begun on the day `latest`."""
    return date(latest.year - (month > latest.month), month, 1)


def latest_day(day: int, month: int, latest: date) -> date | None:
    """Return the last such day up to `latest`; None where the calendar has none, such as 30 February."""
    years = range(latest.year, max(latest.year - 9, 0), -1)  # 29 February may be eight years back
    days = (date(year, month, day) for year in years if day <= monthrange(year, month)[1])
    return next((found for found in days if found <= latest), None)
