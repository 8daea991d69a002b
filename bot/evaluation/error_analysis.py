"""Classify why a question failed: one category per question, so that the most common fault can be fixed first."""

from __future__ import annotations

from typing import Final, Literal

from bot.evaluation.models import Outcome
from bot.text.tokens import contains_answer

ErrorCategory = Literal[
    "failed",
    "answered the unanswerable",
    "not retrieved",
    "refused wrongly",
    "retrieved but not used",
    "badly cited",
]

EXPLANATIONS: Final[dict[ErrorCategory, str]] = {
    "failed": "no answer came: an error or a time-out",
    "answered the unanswerable": "the articles do not say, and it answered all the same",
    "not retrieved": "what answers it is not among the first 10 passages",
    "refused wrongly": "it was retrieved, and no answer was given",
    "retrieved but not used": "it was retrieved, and the answer says something else",
    "badly cited": "the answer is not wrong, and cites none of the gold articles",
}
DEPTH: Final = 10  # passages of the ranking that count as retrieved


def classify(outcome: Outcome) -> ErrorCategory | None:
    """Return the error category of a question, or None if it went right or cannot be judged (see `is_gradable`).

    The first that applies:

    - "failed".
    - "answered the unanswerable": small talk is not a refusal either.
    - For an answerable question that was refused: "not retrieved" if no gold article is among the first ten passages
      (no gold answer if the articles are not known), else "refused wrongly".
    - For an answer without any gold answer: "not retrieved" if neither a gold article nor a gold answer is among those
      passages, else "retrieved but not used".
    - "badly cited" if no gold article is cited.

    Without an answer (retrieval only), only "not retrieved" is possible. Without gold answers, the text is not judged.
    """
    if has_failed(outcome):
        return "failed"
    if outcome.case.answerable is False:
        refused = outcome.answer is None or outcome.answer.status == "not_found"
        return None if refused else "answered the unanswerable"
    if not is_answerable(outcome):
        return None
    if outcome.answer is None:
        return None if _is_retrieved(outcome) else "not retrieved"
    if not is_answered(outcome):
        return "refused wrongly" if _is_gold_article_retrieved(outcome) else "not retrieved"
    return _classify_answer(outcome)


def is_gradable(outcome: Outcome) -> bool:
    """Return True if the test set has enough information to judge the question as right or wrong."""
    if has_failed(outcome):
        return True
    if outcome.answer is None:
        return is_answerable(outcome) and _has_gold(outcome)
    if not is_answered(outcome):
        return outcome.case.answerable is False or is_answerable(outcome)
    return outcome.case.answerable is False or _has_gold(outcome)


def is_answerable(outcome: Outcome) -> bool:
    """Return True if a question is answerable, as stated by the test set or implied by gold answers or articles."""
    case = outcome.case
    known = bool(case.answers or case.long_answers or case.articles)
    return known if case.answerable is None else case.answerable


def has_failed(outcome: Outcome) -> bool:
    """Return True if a question got neither an answer nor a refusal."""
    return outcome.error is not None or (outcome.answer is not None and outcome.answer.status == "error")


def is_answered(outcome: Outcome) -> bool:
    """Return True if an answer was given, right or wrong."""
    return outcome.answer is not None and outcome.answer.status == "answered"


def contains_gold_answer(text: str, outcome: Outcome) -> bool:
    """Return True if a text contains one of the gold answers."""
    return any(contains_answer(text, gold) for gold in outcome.case.answers)


def _classify_answer(outcome: Outcome) -> ErrorCategory | None:
    assert outcome.answer is not None
    wrong = bool(outcome.case.answers) and not contains_gold_answer(outcome.answer.text, outcome)
    if wrong:
        return "retrieved but not used" if _is_retrieved(outcome) else "not retrieved"
    cited = {citation.article_id for citation in outcome.answer.citations}
    return "badly cited" if outcome.gold and not cited.intersection(outcome.gold) else None


def _has_gold(outcome: Outcome) -> bool:
    return bool(outcome.case.answers or outcome.case.articles)


def _is_gold_article_retrieved(outcome: Outcome) -> bool:
    if not outcome.case.articles:
        return _is_retrieved(outcome)
    return any(passage.article_id in outcome.gold for passage in outcome.passages[:DEPTH])


def _is_retrieved(outcome: Outcome) -> bool:
    """Return True if a gold article or answer was retrieved, or if the test set has neither."""
    if not _has_gold(outcome):
        return True
    first = outcome.passages[:DEPTH]
    return any(hit.article_id in outcome.gold or contains_gold_answer(hit.text, outcome) for hit in first)
