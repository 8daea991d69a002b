"""Retrieval: both indexes are heard, filters hold, and LangChain gets its Documents."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from conftest import take_in
from hypothesis import given
from hypothesis import strategies as st

from bot.articles.article import Article
from bot.retrieval.retriever import PassageRetriever, reciprocal_rank_fusion
from bot.retrieval.window import Filters, Window
from bot.workspace import Workspace


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("Who won the final on penalties?", "cup"),
        ("lander on the Moon", "moon"),
        ("earthquake in Turkiye", "quake"),
    ],
)
def test_the_passage_that_answers_comes_first(
    workspace: Workspace, four: list[Article], question: str, first: str
) -> None:
    take_in(workspace, four)
    hits = workspace.retriever.search(question)
    assert hits[0].headline.article_id == first
    assert hits[0].ranks == {"vectors": 1, "words": 1}
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    for hit in hits:
        article = workspace.library.article(hit.passage.article_id)
        assert article is not None
        assert article.text[hit.passage.start : hit.passage.end] == hit.passage.text


def test_k_limits_and_nothing_ingested_finds_nothing(workspace: Workspace, four: list[Article]) -> None:
    assert workspace.retriever.search("moon") == []
    take_in(workspace, four)
    assert len(workspace.retriever.search("moon", k=2)) == 2


def test_filters_narrow_both_indexes(workspace: Workspace, four: list[Article]) -> None:
    take_in(workspace, four)
    window = Window(since=datetime(2023, 1, 1, tzinfo=UTC))
    found = workspace.retriever.search("final penalties lander", filters=Filters(window, ("daily",)))
    assert [hit.headline.article_id for hit in found] == ["moon"]


def test_a_hit_is_never_a_passage_that_the_library_does_not_show(
    workspace: Workspace, four: list[Article]
) -> None:
    take_in(workspace, four)
    workspace.library.publish(
        [], retired=["moon"], collection=workspace.library.collections()[0]
    )  # indexes not yet told
    assert "moon" not in [hit.headline.article_id for hit in workspace.retriever.search("lander on the Moon")]


def test_langchain_gets_documents(workspace: Workspace, four: list[Article]) -> None:
    take_in(workspace, four)
    documents = PassageRetriever(retriever=workspace.retriever, k=2).invoke("lander on the Moon")
    assert len(documents) == 2
    assert documents[0].page_content == four[0].text
    assert documents[0].metadata["article_id"] == "moon"
    assert documents[0].metadata["published"] == "2023-08-23T00:00:00+00:00"


def test_fusion_sums_reciprocal_ranks() -> None:
    fused = reciprocal_rank_fusion([["a", "b"], ["b", "c"]])
    assert list(fused) == ["b", "a", "c"]
    assert fused["b"] == pytest.approx(1 / 62 + 1 / 61)
    assert fused["a"] == pytest.approx(1 / 61)


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), unique=True), max_size=4))
def test_fusion_keeps_every_key_once_best_first(rankings: list[list[str]]) -> None:
    fused = reciprocal_rank_fusion(rankings)
    assert set(fused) == {key for ranking in rankings for key in ranking}
    assert list(fused.values()) == sorted(fused.values(), reverse=True)
