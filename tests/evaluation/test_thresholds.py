"""The trade-off of the confidence from which questions are answered."""

from __future__ import annotations

import pytest
from test_metrics import UNANSWERABLE, answer, outcome

from bot.answering.answer import Answer
from bot.evaluation.models import Outcome
from bot.evaluation.thresholds import TradeOff, trade_offs


def closest(confidence: float, quote: str = "Turkey won.") -> Answer:
    cited = answer("x", cited=("a",)).citations[0].model_copy(update={"quote": quote})
    return answer(status="not_found", confidence=confidence).model_copy(
        update={"closest": (cited,), "citations": ()}
    )


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        # One right at .6, one whose closest passage would have been right at .3, a near miss at .5.
        (
            [
                outcome(given=answer("Turkey", cited=("a",), confidence=0.6)),
                outcome(given=closest(0.3)),
                outcome(UNANSWERABLE, answer("x", cited=("a",), confidence=0.5)),
            ],
            [TradeOff(0.2, 1.0, 1.0, 1.0), TradeOff(0.4, 0.5, 0.5, 1.0), TradeOff(0.6, 0.5, 0.5, 0.0)],
        ),
        # Answered and wrong counts as answered.
        (
            [
                outcome(given=answer("Greece", cited=("a",), confidence=0.9)),
                outcome(UNANSWERABLE, answer(status="not_found", confidence=0.9)),
            ],
            [TradeOff(0.2, 1.0, 0.0, 0.0), TradeOff(0.4, 1.0, 0.0, 0.0), TradeOff(0.6, 1.0, 0.0, 0.0)],
        ),
    ],
)
def test_each_threshold_answers_what_reaches_it(outcomes: list[Outcome], expected: list[TradeOff]) -> None:
    assert trade_offs(outcomes, (0.2, 0.4, 0.6)) == expected


def test_one_kind_of_question_alone_has_no_trade_off() -> None:
    assert trade_offs([outcome(given=answer("Turkey"))]) == []
    assert trade_offs([]) == []
