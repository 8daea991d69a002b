"""Harvest makes test questions of what readers said of answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import take_in
from sqlalchemy import text

from bot.articles.article import Article
from bot.errors import EvaluationError
from bot.evaluation.dataset import load_testset
from bot.evaluation.feedback import add_candidates, candidates
from bot.services import Services

QUESTION = "Has Argentina won the final against France on penalties?"
ASKER, COLLEAGUE = "U0ASKER", "U0COLLEAGUE"


def test_a_judged_answer_becomes_a_question_that_is_not_curated(
    workspace: Services, four: list[Article], tmp_path: Path
) -> None:
    take_in(workspace, four)
    for question, verdict in (
        (QUESTION, "wrong"),
        (QUESTION, "right"),
        ("What does paint cost in Norway?", "right"),
        ("lander Moon?", "wrong"),
    ):
        trace = workspace.chain.invoke_with_trace(question)
        workspace.answers.save(trace)
        workspace.answers.add_feedback(trace.answer.id, verdict)
    rows = candidates(workspace.answers)
    assert [row["question"] for row in rows] == [QUESTION, "What does paint cost in Norway?", "lander Moon?"]
    assert all(row["curated"] is False for row in rows)
    assert rows[0]["articles"] == ["cup"]
    assert rows[1]["answerable"] is False
    assert "articles" not in rows[2]
    (tmp_path / "h.jsonl").write_text("\n".join(map(json.dumps, rows)))
    loaded = load_testset(tmp_path / "h.jsonl")
    assert not loaded.problems
    assert [case.curated for case in loaded.cases] == [False] * 3


def test_what_was_set_right_outlives_the_next_harvest(
    workspace: Services, four: list[Article], tmp_path: Path
) -> None:
    take_in(workspace, four)
    path = tmp_path / "h.jsonl"
    for question, added in ((QUESTION, 1), (QUESTION, 0), ("lander Moon?", 1)):
        trace = workspace.chain.invoke_with_trace(question)
        workspace.answers.save(trace)
        workspace.answers.add_feedback(trace.answer.id, "wrong")
        assert add_candidates(workspace.answers, path) == added
        path.write_text(
            path.read_text("utf-8").replace('"curated": false', '"curated": true').rstrip(), "utf-8"
        )
    assert [(case.question, case.curated) for case in load_testset(path).cases] == [
        (QUESTION, True),
        ("lander Moon?", True),
    ]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("h.jsonl", "notes", r"h\.jsonl: line 1: not valid JSON"),
        ("h.csv", "", "name a file such as h.jsonl"),
        ("none/h.jsonl", None, r"cannot be written \(No such file"),
    ],
)
def test_candidates_are_not_mixed_into_other_files(
    workspace: Services, tmp_path: Path, name: str, content: str | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(EvaluationError, match=reason):
        add_candidates(workspace.answers, tmp_path / name)
    assert content is None or (tmp_path / name).read_text() == content


RIGHT, WRONG = "right", "wrong"


@pytest.mark.parametrize(
    ("said", "verdict", "note", "notes", "disputed"),
    [
        ([(ASKER, 0, RIGHT, "")], RIGHT, "", None, False),
        ([(ASKER, 1, WRONG, "does not say that")], WRONG, "citation 1: does not say that", None, False),
        ([(ASKER, 1, WRONG, "")], WRONG, "citation 1", None, False),
        ([(ASKER, 0, WRONG, "no"), (ASKER, 0, RIGHT, "yes")], RIGHT, "yes", None, False),
        ([(ASKER, 0, RIGHT, ""), (COLLEAGUE, 0, RIGHT, "")], RIGHT, "", [], False),
        ([(ASKER, 0, WRONG, "a"), (COLLEAGUE, 0, WRONG, "b")], WRONG, "b", ["a", "b"], False),
        ([(ASKER, 0, WRONG, "a"), (COLLEAGUE, 0, RIGHT, "")], RIGHT, "", ["a"], True),
        ([(ASKER, 0, RIGHT, ""), (COLLEAGUE, 1, WRONG, "b")], WRONG, "citation 1: b", ["citation 1: b"], True),
        ([(ASKER, 0, WRONG, "a"), (COLLEAGUE, 0, RIGHT, "b"), (ASKER, 0, RIGHT, "c")], RIGHT, "c", ["b", "c"], False),
        # A complaint that stands is not undone by a word of thanks.
        ([(ASKER, 1, WRONG, "a"), (ASKER, 0, RIGHT, "")], WRONG, "", ["citation 1: a"], False),
        # The terminal's readers cannot be told apart: the newest counts.
        ([("", 0, WRONG, "a"), ("", 0, RIGHT, "")], RIGHT, "", None, False),
        ([("", 0, WRONG, "a"), (ASKER, 0, RIGHT, "")], RIGHT, "", ["a"], True),
    ],
)  # fmt: skip
def test_what_several_people_say_is_weighed(
    workspace: Services,
    four: list[Article],
    tmp_path: Path,
    said: list[tuple[str, int, str, str]],
    verdict: str,
    note: str,
    notes: list[str] | None,
    disputed: bool,
) -> None:
    take_in(workspace, four)
    trace = workspace.chain.invoke_with_trace(QUESTION)
    workspace.answers.save(trace)
    for person, citation, given, words in said:
        workspace.answers.add_feedback(trace.answer.id, given, words, person=person, citation=citation)
    (row,) = candidates(workspace.answers)
    assert (row["verdict"], row["note"], row.get("notes")) == (verdict, note, notes)
    assert row.get("disputed", False) == disputed
    assert ("articles" in row) == (verdict == RIGHT and not disputed)
    (tmp_path / "h.jsonl").write_text(json.dumps(row))
    assert not load_testset(tmp_path / "h.jsonl").problems


def test_people_who_were_told_the_same_can_disagree_and_those_who_were_not_cannot(
    workspace: Services, four: list[Article]
) -> None:
    take_in(workspace, four)

    def asked_and_judged(person: str, verdict: str) -> None:
        trace = workspace.chain.invoke_with_trace(QUESTION)
        workspace.answers.save(trace)
        workspace.answers.add_feedback(trace.answer.id, verdict, person=person)

    asked_and_judged(ASKER, WRONG)
    asked_and_judged(COLLEAGUE, RIGHT)
    assert candidates(workspace.answers)[0]["disputed"] is True
    with workspace.index_writer() as indexer:
        indexer.publish(retired=["cup"])
    asked_and_judged(COLLEAGUE, RIGHT)
    (row,) = candidates(workspace.answers)
    assert row["answerable"] is False
    assert "disputed" not in row


def test_a_candidate_was_asked_when_it_was_answered(workspace: Services, four: list[Article]) -> None:
    take_in(workspace, four)
    trace = workspace.chain.invoke_with_trace(QUESTION)
    workspace.answers.save(trace)
    with workspace.articles.transaction() as connection:
        connection.execute(text("UPDATE answers SET given = '2026-01-31T23:59:00+00:00'"))
    workspace.answers.add_feedback(trace.answer.id, RIGHT, person=ASKER)
    assert candidates(workspace.answers)[0]["asked"] == "2026-01-31"
