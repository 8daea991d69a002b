"""A parsed feed and its entries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_HOURS = {"hourly": 1, "daily": 24, "weekly": 168, "monthly": 720, "yearly": 8_760}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a feed says of one article; `raw_text` changes when the article does."""

    link: str
    id: str = ""
    mark: str = ""
    about: Mapping[str, str] = field(
        default_factory=dict
    )  # title, published, author, source: what is said of them
    content: str = ""  # the whole article as HTML, where the feed holds it


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A feed as it was read: its entries are made one by one, and can be gone through once."""

    title: str = ""
    entries: Iterator[Entry] = field(default_factory=lambda: iter(()))
    tombstones: tuple[str, ...] = ()  # ids of entries that it takes back
    min_interval: float = 0.0  # seconds that it wants between two polls
    sub_sitemaps: tuple[tuple[str, str], ...] = ()  # of an index: sitemaps, and when each last changed


def update_interval(period: str, times: str) -> float:
    """Return the pause that an update period of RSS's syndication module asks for."""
    hours = _HOURS.get(period.strip().lower(), 0)
    often = int(times) if times.strip().isdigit() and 0 < int(times) < 10_000 else 1
    return hours * 3_600 / often
