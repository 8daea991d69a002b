"""Evidence: names that are nowhere count against an answer; dates and short forms are understood."""

from __future__ import annotations

import pytest
from conftest import make, take_in
from hypothesis import given
from hypothesis import strategies as st

from bot.answers.evidence import Evidence, weigh
from bot.workspace import Workspace

BANK = {
    "id": "bank",
    "title": "Regulators close a lender",
    "text": "Silicon Valley Bank failed after customers withdrew their deposits within a day.",
    "published": "2023-03-10",
}
GOOD = Evidence(sentence=0.7, passage=0.7, missing=0.2, absent=0.0, share=0.1, terms=1.8)


def of(workspace: Workspace, question: str) -> Evidence:
    words = workspace.words
    rarities = {term: words.rarity(term) for term in words.terms(question)}
    return weigh(question, workspace.retriever.search(question), words, rarities, sentence=0.5)


@pytest.mark.parametrize(
    ("question", "absent"),
    [
        ("When did Silicon Valley Bank fail?", False),
        ("When did SVB fail?", False),
        ("Which bank failed in March 2023?", False),
        ("Which bank failed on Friday, 10 March?", False),
        ("When did Deutsche Bank fail?", True),
        ("Which bank failed in March 2019?", True),
        ("When did SBV fail?", True),
    ],
)
def test_names_dates_and_short_forms(workspace: Workspace, question: str, absent: bool) -> None:
    take_in(workspace, [make(dict(BANK))])
    assert (of(workspace, question).absent > 0) is absent


@pytest.mark.parametrize(
    "worse",
    [
        GOOD._replace(sentence=0.4),
        GOOD._replace(passage=0.4),
        GOOD._replace(missing=0.9),
        GOOD._replace(absent=0.9),
        GOOD._replace(share=0.6),
    ],
    ids=str,
)
def test_confidence_follows_the_evidence(worse: Evidence) -> None:
    assert 0 < worse.confidence < GOOD.confidence < 1


@given(st.tuples(*[st.floats(0, 1)] * 5, st.floats(0, 6)))
def test_confidence_is_a_probability(values: tuple[float, ...]) -> None:
    assert 0 < Evidence(*values).confidence < 1
