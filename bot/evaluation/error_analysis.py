"""Where a question went wrong: one word for each, so that the commonest fault can be mended first."""

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
    """Say where a question went wrong; None when it went right, or when nothing tells (see `is_gradable`).

    The first that holds: failed; answered the unanswerable (small talk is no refusal either); for an
    answerable question that was refused, "not retrieved" when no gold article is among the first ten
    passages (no gold answer, where the articles are not known), else "refused wrongly"; for one whose answer
    lacks every gold answer, "not retrieved" when neither a gold article nor a gold answer is among those
    passages, else "retrieved but not used"; "badly cited" when no gold article is cited. Without an answer
    (retrieval only) "not retrieved" alone is possible; without gold answers the text is not judged.
    """
    if failed(outcome):
        return "failed"
    if outcome.case.answerable is False:
        refused = outcome.answer is None or outcome.answer.status == "not_found"
        return None if refused else "answered the unanswerable"
    if not answerable(outcome):
        return None
    if outcome.answer is None:
        return None if _retrieved(outcome) else "not retrieved"
    if not answered(outcome):
        return "refused wrongly" if _gold_retrieved(outcome) else "not retrieved"
    return _fault_of_answer(outcome)


def is_gradable(outcome: Outcome) -> bool:
    """Return whether the test set says enough of a question to find it right or wrong."""
    if failed(outcome):
        return True
    if outcome.answer is None:
        return answerable(outcome) and _known(outcome)
    if not answered(outcome):
        return outcome.case.answerable is False or answerable(outcome)
    return outcome.case.answerable is False or _known(outcome)


def answerable(outcome: Outcome) -> bool:
    """Return whether a question has an answer, as the test set says or as its gold answers and articles show."""
    case = outcome.case
    known = bool(case.answers or case.long_answers or case.articles)
    return known if case.answerable is None else case.answerable


def failed(outcome: Outcome) -> bool:
    """Return whether a question got neither an answer nor a refusal."""
    return outcome.error is not None or (outcome.answer is not None and outcome.answer.status == "error")


def answered(outcome: Outcome) -> bool:
    """Return whether an answer was given, right or wrong."""
    return outcome.answer is not None and outcome.answer.status == "answered"


def contains_gold_answer(text: str, outcome: Outcome) -> bool:
    """Return whether one of the gold answers stands in a text."""
    return any(contains_answer(text, gold) for gold in outcome.case.answers)


def _fault_of_answer(outcome: Outcome) -> ErrorCategory | None:
    assert outcome.answer is not None
    wrong = bool(outcome.case.answers) and not contains_gold_answer(outcome.answer.text, outcome)
    if wrong:
        return "retrieved but not used" if _retrieved(outcome) else "not retrieved"
    cited = {citation.article_id for citation in outcome.answer.citations}
    return "badly cited" if outcome.gold and not cited.intersection(outcome.gold) else None


def _known(outcome: Outcome) -> bool:
    return bool(outcome.case.answers or outcome.case.articles)


def _gold_retrieved(outcome: Outcome) -> bool:
    if not outcome.case.articles:
        return _retrieved(outcome)
    return any(passage.article_id in outcome.gold for passage in outcome.passages[:DEPTH])


def _retrieved(outcome: Outcome) -> bool:
    """True also where nothing is known of what should have been retrieved."""
    if not _known(outcome):
        return True
    first = outcome.passages[:DEPTH]
    return any(hit.article_id in outcome.gold or contains_gold_answer(hit.text, outcome) for hit in first)
