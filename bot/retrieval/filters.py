"""The conditions that narrow a search before anything is ranked."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from bot.retrieval.window import Window


@dataclass(frozen=True, slots=True)
class Filters:
    """Which articles may be searched; nothing set means all. Values are data: they are compared, never parsed.

    An article passes when it lies in the window, is of one of the sources, and has one of the tags.
    """

    window: Window | None = None
    sources: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    @property
    def narrow(self) -> bool:
        """Whether there is an article that might not pass."""
        timed = self.window and (self.window.since or self.window.until)
        return bool(timed or self.sources or self.tags)

    def passes(self, published: datetime | None, source: str, tags: Iterable[str]) -> bool:
        """Say whether an article with these passes, as the indexes do."""
        window = self.window
        if window and window.since and (published is None or published < window.since):
            return False
        if window and window.until and (published is None or published >= window.until):
            return False
        if self.sources and label_key(source) not in map(label_key, self.sources):
            return False
        return not self.tags or not {*map(label_key, self.tags)}.isdisjoint(map(label_key, tags))


def label_key(label: str) -> str:
    """Return the form of an outlet's name or a tag in which case, blanks and the writing of accents do not matter."""
    return unicodedata.normalize("NFC", " ".join(label.split()).casefold())
