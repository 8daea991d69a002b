"""Retrieval: both indexes are heard, filters hold, and LangChain gets its Documents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from conftest import make, take_in

from bot.articles.article import Article
from bot.indexing.filters import SearchFilters, TimeWindow
from bot.retrieval.langchain import PassageRetriever
from bot.retrieval.retriever import Retriever
from bot.services import Services


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("Who won the final on penalties?", "cup"),
        ("lander on the Moon", "moon"),
        ("earthquake in Turkiye", "quake"),
    ],
)
def test_the_passage_that_answers_comes_first(
    workspace: Services, four: list[Article], question: str, first: str
) -> None:
    take_in(workspace, four)
    hits = workspace.retriever.search(question)
    assert hits[0].headline.article_id == first
    assert hits[0].ranks == {"vectors": 1, "words": 1}
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    for hit in hits:
        article = workspace.articles.article(hit.passage.article_id)
        assert article is not None
        assert article.text[hit.passage.start : hit.passage.end] == hit.passage.text


def test_k_limits_and_nothing_ingested_finds_nothing(workspace: Services, four: list[Article]) -> None:
    assert workspace.retriever.search("moon") == []
    take_in(workspace, four)
    assert len(workspace.retriever.search("moon", k=2)) == 2


def test_filters_narrow_both_indexes(workspace: Services, four: list[Article]) -> None:
    take_in(workspace, four)
    window = TimeWindow(since=datetime(2023, 1, 1, tzinfo=UTC))
    found = workspace.retriever.search("final penalties lander", filters=SearchFilters(window, ("daily",)))
    assert [hit.headline.article_id for hit in found] == ["moon"]


def test_a_hit_is_never_a_passage_that_the_library_does_not_show(
    workspace: Services, four: list[Article]
) -> None:
    take_in(workspace, four)
    workspace.articles.publish(
        [], retired=["moon"], collection=workspace.articles.collections()[0]
    )  # indexes not yet told
    assert "moon" not in [hit.headline.article_id for hit in workspace.retriever.search("lander on the Moon")]


def test_langchain_gets_documents(workspace: Services, four: list[Article]) -> None:
    take_in(workspace, four)
    documents = PassageRetriever(retriever=workspace.retriever, k=2).invoke("lander on the Moon")
    assert len(documents) == 2
    assert documents[0].page_content == four[0].text
    assert documents[0].metadata["article_id"] == "moon"
    assert documents[0].metadata["published"] == "2023-08-23T00:00:00+00:00"


def test_each_hit_has_the_scores_of_both_indexes(workspace: Services, four: list[Article]) -> None:
    take_in(workspace, [*four, *(make({"id": f"m{n}", "text": f"A moon of planet {n}."}) for n in range(70))])
    for hit in workspace.retriever.search("Which lander touched the moon?", k=30):
        assert "vectors" in hit.scores
        assert ("words" in hit.scores) == ("moon" in hit.passage.text.lower())


def test_a_wire_report_in_two_outlets_is_one_hit(workspace: Services) -> None:
    text = "The central bank raised its key rate by a quarter point on Thursday, the tenth rise in a row, it said."
    rows = [
        {"id": "a", "source": "Daily", "text": text},
        {"id": "b", "source": "Ledger", "text": f"{text} Reporting by wire."},
        {
            "id": "c",
            "source": "Post",
            "text": "The central bank governor resigned on Friday after nine years.",
        },
    ]
    take_in(workspace, [make(row) for row in rows])
    hits = workspace.retriever.search("central bank rate")
    assert sorted(hit.headline.article_id for hit in hits) in (["a", "c"], ["b", "c"])
    assert {hits[0].headline.source, *(copy.source for copy in hits[0].copies)} == {"Daily", "Ledger"}
    assert hits[1].copies == ()


NOW = datetime(2023, 6, 20, tzinfo=UTC)


def dated(published: object, name: str, text: str = "The council votes on the new stadium.") -> Article:
    return make(
        {
            "id": name,
            "text": f"{text} Other words: {' '.join(f'{name}{n}' for n in range(8))}.",
            "published": published,
        }
    )


def ids(hits: Sequence[object]) -> list[str]:
    return [hit.headline.article_id for hit in hits]  # type: ignore[attr-defined]


def test_the_recent_comes_first_and_what_has_no_date_is_not_last(workspace: Services) -> None:
    take_in(workspace, [dated("2019-01-01", "old"), dated("2023-06-18", "new"), dated(None, "undated")])
    assert ids(workspace.retriever.search("council votes stadium", now=NOW)) == ["new", "undated", "old"]


def test_an_older_article_that_fits_far_better_stays_first(workspace: Services) -> None:
    old = make(
        {
            "id": "old",
            "text": "Argentina won the final against France on penalties.",
            "published": "2022-12-18",
        }
    )
    new = make(
        {"id": "new", "text": "The final report on river penalties is out.", "published": "2023-06-19"}
    )
    take_in(workspace, [old, new])
    assert ids(workspace.retriever.search("Did Argentina win the final against France?", now=NOW))[0] == "old"


def test_a_time_that_is_over_makes_nothing_recent(workspace: Services) -> None:
    take_in(workspace, [dated("2023-06-02", "aaa"), dated("2023-06-10", "bbb")])
    over = SearchFilters(TimeWindow(datetime(2023, 6, 1, tzinfo=UTC), datetime(2023, 6, 15, tzinfo=UTC)))
    scores = [hit.score for hit in workspace.retriever.search("council stadium", filters=over, now=NOW)]
    assert scores[0] == pytest.approx(scores[1], abs=0.05)
    fresh = [hit.score for hit in workspace.retriever.search("council stadium", now=NOW)]
    assert fresh[0] > fresh[1] + 0.05


def test_the_latest_counts_from_the_newest_article(workspace: Services) -> None:
    take_in(workspace, [dated("2015-06-02", "aaa"), dated("2016-06-10", "bbb")])

    def lead(*, latest: bool) -> float:
        found = workspace.retriever.search("latest on the council stadium", now=NOW, latest=latest)
        assert ids(found) == ["bbb", "aaa"]
        return found[0].score - found[1].score

    assert lead(latest=True) > lead(latest=False) + 0.1


def test_in_an_old_collection_its_last_year_comes_first(workspace: Services) -> None:
    take_in(workspace, [dated("2012-06-10", "aaa"), dated("2016-05-02", "bbb"), dated("2016-06-10", "ccc")])
    found = workspace.retriever.search("council stadium", now=NOW)
    assert ids(found)[2] == "aaa"
    scores = [hit.score for hit in found]
    assert scores[0] == pytest.approx(scores[1], abs=0.1)
    assert scores[1] > scores[2] + 0.1


def test_tags_and_sources_are_compared_and_never_parsed(workspace: Services) -> None:
    rows = [{"id": "a", "tags": ["World News"]}, {"id": "b", "tags": ["sport", "$or"]}, {"id": "c"}]
    texts = ["The council met.", "A council was chosen by members.", "Council tax rises in spring."]
    take_in(workspace, [make({**row, "text": text}) for row, text in zip(rows, texts, strict=True)])

    def found(*tags: str) -> list[str]:
        return sorted(ids(workspace.retriever.search("council", filters=SearchFilters(tags=tags))))

    assert found("world news") == ["a"]
    assert found("SPORT", "World News") == ["a", "b"]
    assert found("$or") == ["b"]
    assert found('sport" OR "world news', "tag:sport", "*") == []


@pytest.mark.parametrize(
    ("label", "asked"),
    [
        ('O\'Brien "Daily" OR *', 'o\'brien "daily" or *'),
        ("Straße & Söhne", "STRASSE & SÖHNE"),
        ("Éclair", "E\u0301CLAIR"),
        ("The  Daily\tPlanet", " the daily planet "),
        ("日本経済新聞", "日本経済新聞"),
        ("$ne", "$NE"),
    ],
)
def test_one_outlet_is_found_among_many_that_rank_higher(workspace: Services, label: str, asked: str) -> None:
    one = {"id": "one", "source": label, "tags": [label], "text": "A pier was closed after the storm."}
    many = [
        {"id": f"m{n}", "source": f"x{n}", "text": f"The harbour pier was closed by storm {n}."}
        for n in range(60)
    ]
    take_in(workspace, [make(row) for row in (one, *many)])
    for filters in (SearchFilters(sources=(asked,)), SearchFilters(tags=(asked,))):
        assert ids(workspace.retriever.search("harbour pier closed by storm", k=3, filters=filters)) == [
            "one"
        ]


class LengthReranker:
    """Prefers long texts."""

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        return [min(len(text) / 1_000, 1.0) for text in texts]


def test_a_reranker_has_the_last_word_on_what_fits(workspace: Services) -> None:
    short = make({"id": "short", "text": "The lander touched down on the Moon."})
    long = make(
        {"id": "long", "text": "A lander is a craft. " + "It rests on a planet or a Moon of one. " * 12}
    )
    take_in(workspace, [short, long])
    parts = (
        workspace.articles,
        workspace.vector_store,
        workspace.bm25,
        workspace.bm25_sync,
        workspace.embedder,
    )
    assert ids(Retriever(*parts).search("Has the lander touched down on the Moon?"))[0] == "short"
    assert (
        ids(Retriever(*parts, LengthReranker()).search("Has the lander touched down on the Moon?"))[0]
        == "long"
    )
