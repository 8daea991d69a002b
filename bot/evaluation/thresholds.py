"""Trade-off between answered questions and false answers for confidence thresholds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bot.evaluation.models import Outcome
from bot.text.tokens import contains_answer

STEPS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


@dataclass(frozen=True, slots=True)
class TradeOff:
    """Shares of the questions for a confidence threshold.

    Args:
        confidence: the threshold.
        answered: share of the answerable questions that are answered.
        right: share of the answerable questions whose answer, or closest passage, has a gold answer.
        false_answers: share of the unanswerable questions that are answered.
    """

    confidence: float
    answered: float
    right: float
    false_answers: float


def trade_offs(outcomes: Iterable[Outcome], steps: Sequence[float] = STEPS) -> list[TradeOff]:
    """Return the trade-off of each threshold, or an empty list unless both kinds of question with gold data were asked.

    A question without an answer counts with its closest passage, which a lower threshold would have shown.
    """
    judged = [o for o in outcomes if o.answer and (o.case.answers or o.case.answerable is False)]
    answerable = [o for o in judged if o.case.answerable is not False]
    unanswerable = [o for o in judged if o.case.answerable is False]
    if not answerable or not unanswerable:
        return []
    return [
        TradeOff(
            step,
            _share([_is_shown(o, step) for o in answerable]),
            _share([_is_shown(o, step) and _is_right(o) for o in answerable]),
            _share([_is_shown(o, step) for o in unanswerable]),
        )
        for step in steps
    ]


def _is_shown(outcome: Outcome, confidence: float) -> bool:
    answer = outcome.answer
    return bool(answer and (answer.citations or answer.closest) and answer.confidence >= confidence)


def _is_right(outcome: Outcome) -> bool:
    shown = outcome.answer.text if outcome.answer else ""
    return any(contains_answer(shown, gold) for gold in outcome.case.answers)


def _share(values: Sequence[bool]) -> float:
    return sum(values) / len(values)
