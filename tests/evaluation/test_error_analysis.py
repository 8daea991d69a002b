"""Where a question went wrong: one word, the first that holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from run_factory import GOLD, case, outcome, unanswerable

from bot.answering.answer import Status
from bot.evaluation.error_analysis import EXPLANATIONS, classify, has_failed, is_answerable, is_gradable
from bot.evaluation.models import Case, Outcome, RetrievedPassage

UNKNOWN: dict[str, Any] = {"answers": (), "articles": (), "answerable": None}
LONG: dict[str, Any] = {**UNKNOWN, "long_answers": ("It is Ankara, of course.",)}
SAID = "They meet in Ankara."


def answered(text: str | None, asked: Case | None = None, *, rank: int = 1, cited: bool = True) -> Outcome:
    """The gold article at `apply_boosts` of ten passages, cited once or not at all."""
    return outcome(asked or case(1), text, rank=rank, cited=[True] if cited and text else [])


def saying(one: Outcome, place: int, text: str = SAID) -> Outcome:
    """The passage at `place` says something."""
    passages = [replace(hit, text=text if n == place else "") for n, hit in enumerate(one.passages, start=1)]
    return replace(one, passages=tuple(passages))


def retrieved(asked: Case, rank: int = 1) -> Outcome:
    return replace(answered(None, asked, rank=rank), answer=None)


def with_status(one: Outcome, status: Status) -> Outcome:
    assert one.answer
    return replace(one, answer=one.answer.model_copy(update={"status": status}))


def deeper(one: Outcome) -> Outcome:
    """Ten passages of other articles stand before."""
    others = tuple(RetrievedPassage(f"p{n}", f"other{n}", "", "", 1.0) for n in range(10))
    return replace(one, passages=others + one.passages)


ANYWHERE = 99  # a rank at which no passage stands

TABLE = [
    # failed, whatever else is known
    (Outcome(case(1), error="boom"), "failed"),
    (Outcome(unanswerable(1), error="boom"), "failed"),
    (Outcome(case(1, **UNKNOWN), error="boom"), "failed"),
    (replace(answered(GOLD), error="boom"), "failed"),
    (with_status(answered(GOLD), "error"), "failed"),
    # unanswerable: a refusal is right, all else is not
    (answered(GOLD, unanswerable(1)), "answered the unanswerable"),
    (answered("", unanswerable(1), cited=False), "answered the unanswerable"),
    (with_status(answered("Hello!", unanswerable(1)), "small_talk"), "answered the unanswerable"),
    (answered(None, unanswerable(1)), None),
    (retrieved(unanswerable(1)), None),
    (answered(None, case(1, answers=(), answerable=False)), None),
    # nobody knows whether there is an answer
    (answered(GOLD, case(1, **UNKNOWN)), None),
    (answered(None, case(1, **UNKNOWN)), None),
    # retrieval only
    (retrieved(case(1), 1), None),
    (retrieved(case(1), 10), None),
    (deeper(retrieved(case(1))), "not retrieved"),
    (retrieved(case(1), ANYWHERE), "not retrieved"),
    (saying(retrieved(case(1), ANYWHERE), 10), None),
    (retrieved(case(1, answers=()), ANYWHERE), "not retrieved"),
    (saying(retrieved(case(1, articles=()), ANYWHERE), 3), None),
    (retrieved(case(1, articles=()), ANYWHERE), "not retrieved"),
    (retrieved(case(1, **LONG), ANYWHERE), None),
    # refused: the gold article alone decides where it is known
    (answered(None), "refused wrongly"),
    (answered(None, rank=10), "refused wrongly"),
    (deeper(answered(None)), "not retrieved"),
    (answered(None, rank=ANYWHERE), "not retrieved"),
    (saying(answered(None, rank=ANYWHERE), 1), "not retrieved"),
    (saying(answered(None, case(1, articles=())), 1), "refused wrongly"),
    (answered(None, case(1, articles=())), "not retrieved"),
    (answered(None, case(1, **LONG)), "refused wrongly"),
    (with_status(answered("Hello!"), "small_talk"), "refused wrongly"),
    # wrong: a gold article or a gold answer was there to be used
    (answered("Izmir"), "retrieved but not used"),
    (saying(answered("Izmir", rank=ANYWHERE), 10), "retrieved but not used"),
    (answered("Izmir", rank=ANYWHERE), "not retrieved"),
    (deeper(answered("Izmir")), "not retrieved"),
    (answered("Izmir", case(1, articles=())), "not retrieved"),
    (answered("Izmir", cited=False), "retrieved but not used"),
    # not wrong, or not to be judged: what it cites
    (answered(SAID), None),
    (answered(SAID, rank=ANYWHERE), None),
    (answered(SAID, cited=False), "badly cited"),
    (answered("Izmir", case(1, answers=()), cited=False), "badly cited"),
    (answered("Izmir", case(1, answers=())), None),
    (answered(SAID, case(1, articles=()), cited=False), None),
    (replace(answered(SAID, cited=False), gold=()), None),  # the library does not have the gold article
    (answered(SAID, case(1, answers=("Izmir", GOLD))), None),
]


@pytest.mark.parametrize(("one", "word"), TABLE)
def test_the_first_word_that_holds_is_said(one: Outcome, word: str | None) -> None:
    assert classify(one) == word
    assert is_gradable(one) or word is None


def test_every_word_is_reached_and_explained() -> None:
    assert {word for _, word in TABLE if word} == set(EXPLANATIONS)


def test_a_citation_of_another_article_is_none_of_a_gold_one() -> None:
    right = answered(SAID)
    assert right.answer
    elsewhere = [citation.model_copy(update={"article_id": "x"}) for citation in right.answer.citations]
    other = replace(right, answer=right.answer.model_copy(update={"citations": tuple(elsewhere)}))
    assert classify(other) == "badly cited"
    both = (*elsewhere, *right.answer.citations)
    assert classify(replace(right, answer=right.answer.model_copy(update={"citations": both}))) is None


@pytest.mark.parametrize(
    ("one", "known"),
    [
        (Outcome(case(1, **UNKNOWN), error="boom"), True),
        (answered(SAID), True),
        (answered(None), True),
        (answered(None, unanswerable(1)), True),
        (answered(GOLD, unanswerable(1)), True),
        (answered(GOLD, case(1, answers=())), True),
        (answered(GOLD, case(1, articles=())), True),
        (answered(GOLD, case(1, **LONG)), False),  # no gold answer to look for, no article to be cited
        (answered(None, case(1, **LONG)), True),  # but a refusal is wrong
        (answered(GOLD, case(1, **UNKNOWN)), False),
        (answered(None, case(1, **UNKNOWN)), False),
        (answered(None, case(1, **{**UNKNOWN, "answerable": True})), True),
        (retrieved(case(1)), True),
        (retrieved(case(1, **LONG)), False),
        (retrieved(unanswerable(1)), False),
        (retrieved(case(1, **UNKNOWN)), False),
    ],
)
def test_what_the_test_set_does_not_tell_is_not_judged(one: Outcome, known: bool) -> None:
    assert is_gradable(one) is known


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, False),
        ({"answers": (GOLD,)}, True),
        ({"long_answers": (SAID,)}, True),
        ({"articles": ("a",)}, True),
        ({"answerable": True}, True),
        ({"answers": (GOLD,), "answerable": False}, False),
    ],
)
def test_gold_answers_and_articles_show_that_there_is_an_answer(
    changes: dict[str, Any], expected: bool
) -> None:
    assert is_answerable(Outcome(case(1, **UNKNOWN | changes))) is expected


def test_a_refusal_is_no_failure() -> None:
    assert not has_failed(answered(None))
    assert has_failed(with_status(answered(GOLD), "error"))
