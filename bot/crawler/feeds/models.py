"""A parsed feed and its entries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_PERIOD_HOURS = {"hourly": 1, "daily": 24, "weekly": 168, "monthly": 720, "yearly": 8_760}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Feed entry: one article.

    Attributes:
        link: URL of the article's page.
        id: id that the feed uses for the entry.
        fingerprint: changes if the article changes.
        metadata: title, published, author and source as given by the feed, if present.
        content: the whole article as HTML, if the feed contains it.
    """

    link: str
    id: str = ""
    fingerprint: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    content: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """Parsed feed; its entries are built lazily and can be iterated once."""

    title: str = ""
    entries: Iterator[Entry] = field(default_factory=lambda: iter(()))
    tombstones: tuple[str, ...] = ()  # ids of deleted entries
    min_interval: float = 0.0  # seconds between two polls, as requested by the feed
    sub_sitemaps: tuple[tuple[str, str], ...] = ()  # of a sitemap index: URL and last change of each sitemap


def update_interval(period: str, times: str) -> float:
    """Return the seconds between two updates of an RSS feed.

    Args:
        period: `updatePeriod` of the RSS syndication module, such as "hourly".
        times: `updateFrequency`: updates per period.
    """
    hours = _PERIOD_HOURS.get(period.strip().lower(), 0)
    often = int(times) if times.strip().isdigit() and 0 < int(times) < 10_000 else 1
    return hours * 3_600 / often
