"""A question on its way through the chain, and what comes out at its end."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from bot.answers.answer import Answer, Nearest
from bot.answers.citing import named
from bot.answers.question import Question
from bot.articles.records import Headline
from bot.retrieval.filters import Filters
from bot.retrieval.hits import Hit
from bot.retrieval.window import Window

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

_NEAREST = 3
_STILL_NOW = timedelta(days=7)  # older than that, an answer about the present says how old it is


class Notice(str):
    """What a reader must know before the sentences of an answer that is still being written."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """An answer with all that it came from: `hits` are the passages it was found among, best first.

    `prompt_hash` is that of the prompt its chat model was given, "" where none was asked.
    """

    answer: Answer
    question: Question
    asked: datetime
    filters: Filters
    hits: tuple[Hit, ...] = ()
    prompt_hash: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """A question on its way. `filters` are its own with the time that was read from its words.

    `spent` holds what its chat model was asked so far: the tokens of each prompt, and what was said.
    """

    question: Question
    standalone: str
    now: datetime
    small_talk: str | None = None
    filters: Filters = field(default_factory=Filters)
    about_now: bool = False
    caution: str = ""  # what to say of hits that are not from the time asked about
    hits: tuple[Hit, ...] = ()
    spent: tuple[tuple[int, BaseMessage | None], ...] = ()
    timings: dict[str, float] = field(default_factory=dict)

    @property
    def time_read(self) -> Window | None:
        """The window that was read from the question's words, if one was."""
        return self.filters.window if self.filters != self.question.filters else None

    @property
    def time_is_over(self) -> bool:
        """Whether the window that was read from the question lies in the past."""
        return bool(self.time_read and self.time_read.until and self.time_read.until < self.now)

    @property
    def sought(self) -> str:
        """What is searched for: without the words that already narrow the search by date."""
        words = self.time_read.words if self.time_read else ""
        rest = self.standalone.replace(words, " ") if words else ""
        return rest if re.search(r"\w", rest) else self.standalone

    def notice(self, as_of: datetime | None) -> str:
        """Return what a reader must know before an answer whose newest article is of that date."""
        if self.caution:
            return self.caution
        if self.about_now and as_of and self.now - as_of > _STILL_NOW:
            return f"As of {as_of.day} {as_of:%B %Y}:"
        return ""


def nearest(hits: Sequence[Hit]) -> tuple[Nearest, ...]:
    """Return the first articles of these hits, each once."""
    by_article: dict[str, Headline] = {}
    for hit in hits:
        by_article.setdefault(hit.headline.article_id, hit.headline)
    return tuple(Nearest(**named(headline)) for headline in list(by_article.values())[:_NEAREST])
