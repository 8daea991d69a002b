"""The word index: what ranks first, what is filtered, what a reader sees of a writer."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.articles.article import Article
from bot.articles.chunking import split_passages
from bot.errors import KeywordIndexError
from bot.indexing.bm25_index import Bm25Index, analyze
from bot.indexing.filters import SearchFilters, TimeWindow
from bot.storage.models import PendingVersion


def draft(article: Article) -> PendingVersion:
    return PendingVersion(article, 1, tuple(split_passages(article.id, 1, article.text)))


@pytest.fixture
def words(tmp_path: Path, four: list[Article]) -> Bm25Index:
    index = Bm25Index(tmp_path / "words")
    with index.writer() as writer:
        writer.add([draft(article) for article in four])
        writer.commit()
    return index


def names(
    words: Bm25Index, question: str, four: list[Article], filters: SearchFilters | None = None
) -> list[str]:
    by_passage = {passage.id: article.id for article in four for passage in draft(article).passages}
    return [by_passage[key] for key, _ in words.search(question, 10, filters or SearchFilters())]


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("Who won the final?", "cup"),
        ("rovers on the moon", "moon"),
        ("TURKIYE", "quake"),
        ("penalties", "cup"),
        ("which banks were failing", "bank"),
    ],
)
def test_the_passage_with_the_words_ranks_first(
    words: Bm25Index, four: list[Article], question: str, first: str
) -> None:
    assert names(words, question, four)[0] == first


@pytest.mark.parametrize("question", ["", "?!", "the of and", "zebra"])
def test_no_words_no_hits(words: Bm25Index, question: str) -> None:
    assert words.search(question, 10, SearchFilters()) == []


@given(question=st.text(st.sampled_from(list("abc \"'+-*?:()[]{}^~\\/!&|<>=AND OR NOT\n\0")), max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_question_is_never_a_query_expression(words: Bm25Index, question: str) -> None:
    words.search(question, 10, SearchFilters(sources=(question,)))


MARCH = TimeWindow(datetime(2023, 3, 1, tzinfo=UTC), datetime(2023, 4, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (SearchFilters(), {"moon", "bank", "cup", "quake"}),
        (SearchFilters(MARCH), {"bank"}),
        (SearchFilters(TimeWindow(since=MARCH.since)), {"bank", "moon"}),
        (SearchFilters(TimeWindow(until=MARCH.since)), {"cup"}),
        (SearchFilters(TimeWindow(until=datetime(2022, 12, 18, tzinfo=UTC))), set()),
        (
            SearchFilters(
                TimeWindow(since=datetime(2022, 12, 18, tzinfo=UTC), until=datetime(2022, 12, 19, tzinfo=UTC))
            ),
            {"cup"},
        ),
        (SearchFilters(sources=("DAILY",)), {"moon", "cup"}),
        (SearchFilters(MARCH, ("daily", "ledger")), {"bank"}),
        (SearchFilters(sources=("daily OR ledger",)), set()),
    ],
)
def test_filters(words: Bm25Index, four: list[Article], filters: SearchFilters, expected: set[str]) -> None:
    everything = "lander bank final earthquake"
    assert set(names(words, everything, four, filters)) == expected


def test_readers_see_commits_and_nothing_else(words: Bm25Index, four: list[Article]) -> None:
    writing = Bm25Index(words.folder)
    with writing.writer() as writer:
        writer.remove([four[0].id])
        assert words.count() == 4
        writer.commit()
        assert words.count() == 3
        writer.clear()  # and never commit: a crash
    assert words.count() == 3


def test_a_rare_word_weighs_more(words: Bm25Index) -> None:
    assert words.idf("moon") > 0
    assert words.idf("zebra") > words.idf("moon")


def test_a_missing_or_broken_index_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeywordIndexError, match=r"is missing; run `citewire reindex --words`"):
        Bm25Index(tmp_path / "none").search("moon", 1, SearchFilters())
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "meta.json").write_text("{")
    with pytest.raises(KeywordIndexError, match="citewire reindex"):
        Bm25Index(tmp_path / "broken").search("moon", 1, SearchFilters())


def test_analysis_folds_case_accents_and_endings() -> None:
    assert analyze("The WINNERS won in Türkiye") == ["winner", "won", "turkiy"]
