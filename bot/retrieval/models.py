"""Search hits and numbered passages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from bot.articles.chunking import Passage
from bot.storage.models import ArticleSummary


@dataclass(frozen=True, slots=True)
class Hit:
    """Search hit: a passage with its article and scores.

    Attributes:
        score: combined score, by which hits are sorted.
        ranks: rank from 1 in "vectors" and "words" (BM25), if the passage was found there.
        scores: cosine similarity in "vectors" and BM25 score in "words".
        copies: articles of other sources that contain the passage or a part of it, and are not hits themselves.
    """

    passage: Passage
    headline: ArticleSummary
    score: float
    ranks: dict[str, int] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    copies: tuple[ArticleSummary, ...] = ()

    @property
    def header(self) -> str:
        """Title, source and date of the article, one line each."""
        published = self.headline.published
        day = f"{published.day} {published:%B %Y}" if published else ""
        return "\n".join(part for part in (self.headline.title, self.headline.source, day) if part)

    def with_copies(self, headlines: Iterable[ArticleSummary]) -> Hit:
        """Return the hit with articles added to its copies, without duplicates."""
        known = {self.headline.article_id, *(copy.article_id for copy in self.copies)}
        more = {line.article_id: line for line in headlines if line.article_id not in known}
        return replace(self, copies=(*self.copies, *more.values())) if more else self


@dataclass(frozen=True, slots=True)
class NumberedPassage:
    """Numbered passage of a prompt; `text` is the text of the hit up to a prompt injection, if there is one."""

    n: int
    hit: Hit
    text: str
