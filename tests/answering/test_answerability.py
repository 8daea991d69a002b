"""Evidence: names that are nowhere count against an answer; dates and short forms are understood."""

from __future__ import annotations

import pytest
from conftest import make, take_in
from hypothesis import given
from hypothesis import strategies as st

from bot.answering.answerability import AnswerabilityFeatures, extract_features
from bot.answering.quote_ranking import read_sentences
from bot.services import Services

BANK = {
    "id": "bank",
    "title": "Regulators close a lender",
    "text": "Silicon Valley Bank failed after customers withdrew their deposits within a day.",
    "published": "2023-03-10",
}
GOOD = AnswerabilityFeatures(score=12.0, mass=2.0, passage=0.6, asked=0.8, absent=0.0, share=0.1, terms=1.8)


def of(workspace: Services, question: str) -> AnswerabilityFeatures:
    retriever = workspace.retriever
    hits = retriever.search(question)
    read = read_sentences(question, hits, workspace.reader, retriever.embedder, retriever.vector(question))
    return extract_features(question, hits, workspace.bm25, read)


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
def test_names_dates_and_short_forms(workspace: Services, question: str, absent: bool) -> None:
    take_in(workspace, [make(dict(BANK))])
    assert (of(workspace, question).absent > 0) is absent


@pytest.mark.parametrize(
    ("question", "absent"),
    [
        ("Which ship blocked the Suez Canal?", False),
        ("Which ship was registered in Panama?", False),
        ("Which ship blocked the Panama Canal?", True),
        ("Which ship did Panama and the Canal Authority free?", False),
    ],
)
def test_a_name_of_two_words_has_to_stand_together(workspace: Services, question: str, absent: bool) -> None:
    text = "A ship blocked the Suez Canal. It is registered in Panama. The Canal Authority freed it."
    take_in(workspace, [make({"id": "ship", "text": text})])
    assert (of(workspace, question).absent > 0) is absent


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ("The lender: customers withdrew deposits?", 1.0),
        ("Which lender sold its London branch?", 0.0),
        ("Regulators close a lender", 1.0),
    ],
)
def test_what_is_asked_beyond_the_headline_is_looked_for(
    workspace: Services, question: str, asked: float
) -> None:
    take_in(workspace, [make(dict(BANK))])
    assert of(workspace, question).asked == pytest.approx(asked)


@pytest.mark.parametrize(
    "worse",
    [
        GOOD._replace(score=8.0),
        GOOD._replace(mass=-5.0),
        GOOD._replace(passage=0.3),
        GOOD._replace(asked=0.1),
        GOOD._replace(absent=0.9),
        GOOD._replace(share=0.6),
    ],
    ids=str,
)
def test_confidence_follows_the_evidence(worse: AnswerabilityFeatures) -> None:
    assert 0 < worse.confidence < GOOD.confidence < 1


@given(st.tuples(*[st.floats(-60, 60)] * 2, *[st.floats(0, 1)] * 4, st.floats(0, 6)))
def test_confidence_is_a_probability(values: tuple[float, ...]) -> None:
    assert 0 <= AnswerabilityFeatures(*values).confidence <= 1
