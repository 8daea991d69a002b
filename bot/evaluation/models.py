"""Data types of an evaluation: Case, RetrievedPassage, Outcome, Summary and Run."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any

from bot.answering.answer import Answer


@dataclass(frozen=True, slots=True)
class Case:
    """One question of a test set with its gold data. Metrics that need an empty field are not applicable.

    Args:
        id: id of the question.
        question: the question.
        answers: gold answers.
        long_answers: gold answers in sentences.
        articles: ids or URLs of the gold articles, as written in the test set.
        answerable: None if the test set does not state it.
        asked: date of the question.
        history: earlier questions of the conversation.
        tags: tags for grouping.
        curated: False for a candidate that no person has corrected yet.
        extra: keys unknown to Citewire.
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
    """A retrieved passage of the ranking."""

    passage_id: str
    article_id: str
    title: str
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one question, with everything the metrics need: none of them reads the article store again.

    Args:
        case: the question.
        gold: ids of the gold articles that are in the article store.
        passages: retrieved passages, best first.
        answer: the answer, or None if the run was retrieval-only or the question failed.
        quotes_valid: for each citation, True if its quote is verbatim in the stored article.
        supported: for each sentence, True if its citations support it.
        milliseconds: time from question to answer.
        error: reason of the failure, or None.
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
    """The metrics of a run by name; metrics that do not apply are absent.

    Args:
        metrics: values.
        ci: 95 % confidence intervals.
        n: numbers of observations.
    """

    metrics: dict[str, float]
    ci: dict[str, tuple[float, float]]
    n: dict[str, int]


@dataclass(frozen=True, slots=True)
class Run:
    """The content of a run file: the header (settings, versions, hashes) and one outcome per question."""

    header: dict[str, Any]
    outcomes: tuple[Outcome, ...]
