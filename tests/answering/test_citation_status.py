"""What has become of what answers cited: corrected, withdrawn, brought back, and found again by `affected`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import FOUR, WordEmbedder, make, take_in
from sqlalchemy import create_engine, text

from bot.answering.answer import Answer
from bot.answering.citation_status import AffectedAnswer
from bot.articles.article import Article
from bot.cli.explain import format_explanation
from bot.services import Services
from bot.settings import load_settings
from bot.storage import migrations
from bot.storage.article_store import open_article_store

CUP = dict(FOUR[2])
QUESTION = "Has Argentina won the final against France on penalties?"


@pytest.fixture
def shared(tmp_path: Path, database_url: str, four: list[Article]) -> Iterator[Services]:
    """Four articles in a database of each kind."""
    settings = load_settings(data_dir=tmp_path / "shared", database_url=database_url, min_confidence=0.3)
    opened = Services(settings, embedder=WordEmbedder())
    take_in(opened, four)
    yield opened
    opened.close()


def asked(workspace: Services, question: str = QUESTION) -> Answer:
    trace = workspace.chain.invoke_with_trace(question)
    workspace.answers.save(trace)
    return trace.answer


def withdraw(workspace: Services, *article_ids: str) -> None:
    with workspace.index_writer() as indexer:
        indexer.publish(retired=article_ids)


def standing(workspace: Services, answer: Answer) -> list[tuple[int, str, int | None]]:
    found = workspace.citation_audit.for_answer(answer.id)
    assert found
    by_number = {citation.n: citation.standing for citation in found.answer.citations}
    return [(n, by_number[n], since.version) for n, since in found.article_changes.items()]


def ids(found: Iterator[AffectedAnswer]) -> list[str]:
    return [one.answer.id for one in found]


@pytest.mark.parametrize(
    ("change", "expected", "support"),
    [
        ({"text": CUP["text"].replace("Argentina won", "France won")}, (1, "changed", 2), "lost"),
        ({"text": f"Correction: the date was wrong. {CUP['text']}"}, (1, "stands", 2), "verbatim"),
        ({"title": "Final decided on penalties"}, (1, "stands", 2), "verbatim"),
    ],
)
def test_a_correction_is_seen_in_the_answer_that_cited_the_article(
    shared: Services, change: dict[str, str], expected: tuple[int, str, int], support: str
) -> None:
    answer = asked(shared)
    assert standing(shared, answer) == []
    take_in(shared, [make({**CUP, **change})])
    assert standing(shared, answer) == [expected]
    [affected] = shared.citation_audit.find_affected_answers()
    assert affected.answer.sentences[0].support == support
    assert affected.article_changes[1].changed is not None
    assert shared.answers.load(answer.id) is not None
    assert shared.answers.load(answer.id)[0] == answer  # type: ignore[index]  # it is kept as it was given


def test_the_version_that_was_cited_is_kept_beside_the_corrected_one(shared: Services) -> None:
    [citation] = asked(shared).citations
    take_in(shared, [make({**CUP, "text": "France won."})])
    kept = shared.articles.article("cup", citation.version)
    assert kept is not None
    assert kept.text[citation.start : citation.end] == citation.quote
    assert shared.articles.article("cup").text == "France won."  # type: ignore[union-attr]


def test_an_article_that_returns_to_what_it_said_stands_again(shared: Services, four: list[Article]) -> None:
    answer = asked(shared)
    take_in(shared, [make({**CUP, "text": "France won."})])
    take_in(shared, four)
    assert standing(shared, answer) == [(1, "stands", 3)]


def test_a_withdrawn_article_is_gone_from_its_answers_and_is_another_when_it_comes_back(
    shared: Services, four: list[Article]
) -> None:
    answer = asked(shared)
    withdraw(shared, "cup")
    assert standing(shared, answer) == [(1, "withdrawn", None)]
    assert "withdrawn on 20" in format_explanation(shared.citation_audit.for_answer(answer.id), {})  # type: ignore[arg-type]
    take_in(shared, [make({**CUP, "text": "France won."})])
    assert standing(shared, answer) == [(1, "changed", 2)]
    take_in(shared, four)
    assert standing(shared, answer) == [(1, "stands", 3)]


def test_affected_finds_the_answers_of_what_changed_and_no_others(shared: Services) -> None:
    cup, moon = asked(shared), asked(shared, "Which lander touched down on the Moon on Wednesday?")
    again = asked(shared)
    before = shared.articles.generation()
    assert ids(shared.citation_audit.find_affected_answers()) == []
    withdraw(shared, "cup")
    after = shared.articles.generation()
    assert ids(shared.citation_audit.find_affected_answers()) == [again.id, cup.id]
    withdraw(shared, "moon")
    assert ids(shared.citation_audit.find_affected_answers()) == [again.id, moon.id, cup.id]
    assert ids(shared.citation_audit.find_affected_answers({"moon"})) == [moon.id]
    assert ids(shared.citation_audit.find_affected_answers({"quake", "nothing"})) == []
    assert shared.citation_audit.find_affected_ids(generation=after) == [moon.id]
    assert set(shared.citation_audit.find_affected_ids(generation=before)) == {moon.id, again.id, cup.id}


def test_articles_of_a_library_that_noted_no_changes_are_not_taken_for_withdrawn(shared: Services) -> None:
    answer = asked(shared)
    with shared.articles.transaction() as connection:
        connection.execute(text("DELETE FROM changes"))
    assert standing(shared, answer) == []
    assert ids(shared.citation_audit.find_affected_answers()) == []


def test_answers_of_an_older_library_are_found_too(tmp_path: Path, database_url: str) -> None:
    engine = create_engine(database_url or f"sqlite:///{tmp_path / 'library.sqlite'}")
    migrations.migrate(engine, migrations.MIGRATIONS[:6])
    citation = {"n": 1, "article_id": "cup", "version": 3}
    with engine.begin() as connection:
        for answer_id, answer in (("a1", {"citations": [citation]}), ("a2", {})):
            row = {"id": answer_id, "answer": json.dumps(answer)}
            connection.execute(
                text("INSERT INTO answers VALUES (:id, '2026-01-01T00:00:00+00:00', :answer)"), row
            )
        connection.execute(text("INSERT INTO changes VALUES ('cup', 7)"))
    engine.dispose()
    library = open_article_store(tmp_path, database_url)
    with library.connect() as connection:
        assert connection.execute(text("SELECT answer_id, n, article_id, version FROM cited")).all() == [
            ("a1", 1, "cup", 3)
        ]
        assert connection.execute(text("SELECT article_id, generation, changed FROM changes")).all() == [
            ("cup", 7, "")
        ]
    assert library.next_versions(["cup", "moon"]) == {"cup": 4, "moon": 1}
    library.close()
