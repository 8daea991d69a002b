"""What a search returns: a passage, its article's headline, and what speaks for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from bot.articles.chunking import Passage
from bot.storage.models import ArticleSummary


@dataclass(frozen=True, slots=True)
class Hit:
    """A found passage. `ranks` and `scores` are those it had in "vectors" (cosine) and "words" (BM25).

    `copies` are articles of other outlets that say the same or some of it, which are not hits of their own.
    """

    passage: Passage
    headline: ArticleSummary
    score: float
    ranks: dict[str, int] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    copies: tuple[ArticleSummary, ...] = ()

    @property
    def header(self) -> str:
        """What the article says of itself: title, outlet and date, a line each."""
        published = self.headline.published
        day = f"{published.day} {published:%B %Y}" if published else ""
        return "\n".join(part for part in (self.headline.title, self.headline.source, day) if part)

    def with_copies(self, headlines: Iterable[ArticleSummary]) -> Hit:
        """Return the hit with these articles among its copies, each once."""
        known = {self.headline.article_id, *(copy.article_id for copy in self.copies)}
        more = {line.article_id: line for line in headlines if line.article_id not in known}
        return replace(self, copies=(*self.copies, *more.values())) if more else self


@dataclass(frozen=True, slots=True)
class NumberedPassage:
    """A passage as a model reads it: `text` is where its reporting ends, a beginning of the hit's own."""

    n: int
    hit: Hit
    text: str
