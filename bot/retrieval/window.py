"""The stretch of time a question is about, and the other conditions that narrow a search."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Window:
    """Published from `since` up to but not including `until`; `words` are those of the question that said so."""

    since: datetime | None = None
    until: datetime | None = None
    words: str = ""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which articles may be searched; nothing set means all. Values are data: they are compared, never parsed."""

    window: Window | None = None
    sources: tuple[str, ...] = ()

    @property
    def source_keys(self) -> list[str]:
        """The outlets' names as the indexes hold them."""
        return [source_key(source) for source in self.sources]


def source_key(source: str) -> str:
    """Return the form of an outlet's name in which case does not matter."""
    return source.strip().casefold()
