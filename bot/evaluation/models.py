"""The shapes of an evaluation: what is asked, what came back, and what it is worth."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any

from bot.answering.answer import Answer


@dataclass(frozen=True, slots=True)
class Case:
    """One question of a test set with what is known to be right. Empty fields make their metrics n/a.

    `answerable` is None where the test set does not say. `articles` are ids or URLs as they were written;
    `curated` is false for a candidate that nobody has set right yet; `extra` keeps the keys that mean nothing
    to Citewire.
    """

    id: str
    question: str
    answers: tuple[str, ...] = ()
    long_answers: tuple[str, ...] = ()
    articles: tuple[str, ...] = ()
    answerable: bool | None = None
    asked: date | None = None
    history: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    curated: bool = True
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RetrievedPassage:
    """A retrieved passage, in the order of the ranking."""

    passage_id: str
    article_id: str
    title: str
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one question gave, with all that the metrics need: none of them looks at the library again.

    `gold` are the ids of the case's articles in the library. `quotes_valid` says for each citation whether
    its quote is verbatim in the stored article, `supported` for each sentence whether its citations support
    it. `answer` is None where only retrieval was run or the question failed; then `error` says why.
    `milliseconds` is the time from question to answer.
    """

    case: Case
    gold: tuple[str, ...] = ()
    passages: tuple[RetrievedPassage, ...] = ()
    answer: Answer | None = None
    quotes_valid: tuple[bool, ...] = ()
    supported: tuple[bool, ...] = ()
    milliseconds: float = 0.0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """The metrics of a run: value, 95 % interval and how many observations each stands on.

    A metric that does not apply is absent. The keys are the names of the design's table.
    """

    metrics: dict[str, float]
    ci: dict[str, tuple[float, float]]
    n: dict[str, int]


@dataclass(frozen=True, slots=True)
class Run:
    """A run as its file holds it: the header (settings, versions, hashes) and an outcome a question."""

    header: dict[str, Any]
    outcomes: tuple[Outcome, ...]
