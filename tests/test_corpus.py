"""The sample articles and their questions: readable without a skip, and consistent with each other."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from bot.articles.article import Article
from bot.ingestion.loaders import Skipped, read_articles

CORPUS = Path(__file__).parent.parent / "corpus"
FILES = sorted(CORPUS.glob("*.md"))
ROWS: list[dict[str, Any]] = [
    json.loads(line) for line in (CORPUS / "testset.jsonl").read_text("utf-8").splitlines()
]
KEYS = {"id", "question", "answers", "long_answer", "articles", "answerable", "asked", "history", "tags"}


@pytest.fixture(scope="module")
def articles() -> dict[str, Article]:
    found = list(read_articles(FILES))
    assert [item for item in found if isinstance(item, Skipped)] == []
    by_id = {item.id: item for item in found if isinstance(item, Article)}
    assert len(by_id) == len(found) == 25
    return by_id


def test_every_article_is_named_dated_and_a_sample(articles: dict[str, Article]) -> None:
    for article in articles.values():
        assert article.id == f"sample-{Path(article.origin).stem}"
        assert article.title
        assert article.published is not None, article.id
        assert date(2021, 1, 1) <= article.published.date() <= date(2025, 12, 31)
        assert article.source == "Citewire sample"
        assert article.tags
        assert len(article.text) > 800


def test_no_two_articles_share_a_title_or_a_text(articles: dict[str, Article]) -> None:
    assert len({article.title for article in articles.values()}) == len(articles)
    assert len({article.text for article in articles.values()}) == len(articles)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_samples_point_at_no_web_page(path: Path) -> None:
    text = path.read_text("utf-8")
    assert "http" not in text.lower()
    assert "www." not in text.lower()


def test_the_folder_as_a_whole_gives_the_articles_and_passes_the_test_set_over(
    articles: dict[str, Article],
) -> None:
    found = list(read_articles([CORPUS]))
    assert {item.id for item in found if isinstance(item, Article)} == articles.keys()
    skipped = [item for item in found if isinstance(item, Skipped)]
    assert {(Path(item.file).name, item.expected) for item in skipped} == {
        ("natural.jsonl", True), ("testset.jsonl", True),
    }  # fmt: skip


def test_the_natural_questions_are_120_of_which_40_are_near_misses() -> None:
    rows = [json.loads(line) for line in (CORPUS / "natural.jsonl").read_text("utf-8").splitlines()]
    assert (len(rows), sum(not row["answerable"] for row in rows)) == (120, 40)
    texts = {path.stem: path.read_text("utf-8") for path in FILES}
    for row in rows:
        evidence = " ".join(row["evidence"])
        assert all(answer in evidence for answer in row["answers"]), row["id"]
        named = [texts[article.removeprefix("sample-")] for article in row["articles"] or [row["near"]]]
        assert all(any(sentence in text for text in named) for sentence in row["evidence"]), row["id"]


def test_the_test_set_has_its_sixty_questions() -> None:
    assert len(ROWS) == 60
    assert sum(not row["answerable"] for row in ROWS) == 20
    assert sum(bool(row.get("history")) for row in ROWS) == 10
    assert [key for key, n in Counter(row["id"] for row in ROWS).items() if n > 1] == []
    assert len({(row["question"], *row.get("history", ())) for row in ROWS}) == 60


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_a_row_has_the_design_s_fields(row: dict[str, Any]) -> None:
    assert row.keys() <= KEYS
    assert {"id", "question", "answers", "articles", "answerable", "asked"} <= row.keys()
    assert row["question"].strip() == row["question"] != ""
    assert date.fromisoformat(row["asked"])
    assert isinstance(row["answerable"], bool)
    for key in ("answers", "articles", "history", "tags"):
        assert all(isinstance(item, str) and item for item in row.get(key, []))
    if row["answerable"]:
        assert row["answers"]
        assert row["articles"]
    else:
        assert not row["answers"]
        assert "long_answer" not in row


@pytest.mark.parametrize("row", [row for row in ROWS if row["answerable"]], ids=lambda row: row["id"])
def test_a_gold_answer_stands_in_a_gold_article_that_was_out_when_it_was_asked(
    row: dict[str, Any], articles: dict[str, Article]
) -> None:
    gold = [articles[key] for key in row["articles"]]
    texts = [f"{article.title}\n{article.text}".casefold() for article in gold]
    assert any(answer.casefold() in text for answer in row["answers"] for text in texts)
    for article in gold:
        assert article.published is not None
        assert article.published.date() <= date.fromisoformat(row["asked"])
