"""The journal keeps answers and judgements; harvest makes test questions of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import take_in
from sqlalchemy.exc import IntegrityError

from bot.articles.article import Article
from bot.errors import EvaluationError, LibraryError
from bot.evaluation.harvest import add_candidates, candidates
from bot.evaluation.testset import load_testset
from bot.workspace import Workspace

QUESTION = "Has Argentina won the final against France on penalties?"


def test_what_was_given_and_said_is_kept(workspace: Workspace, four: list[Article]) -> None:
    take_in(workspace, four)
    trace = workspace.chain.trace(QUESTION)
    workspace.journal.remember(trace)
    answer = trace.answer
    workspace.journal.judge(answer.id, "wrong", "It was the 2022 final 🏆")
    (judgement,) = workspace.journal.judgements()
    assert judgement.answer == answer
    assert (judgement.verdict, judgement.note) == ("wrong", "It was the 2022 final 🏆")


def test_small_talk_is_not_kept_and_unknown_answers_cannot_be_judged(workspace: Workspace) -> None:
    talk = workspace.chain.trace("hello")
    workspace.journal.remember(talk)
    with pytest.raises(LibraryError) as refused:
        workspace.journal.judge(talk.answer.id, "right")
    assert isinstance(refused.value.__cause__, IntegrityError)


def test_a_judged_answer_becomes_a_question_that_is_not_curated(
    workspace: Workspace, four: list[Article], tmp_path: Path
) -> None:
    take_in(workspace, four)
    for question, verdict in (
        (QUESTION, "wrong"),
        (QUESTION, "right"),
        ("What does paint cost in Norway?", "right"),
        ("lander Moon?", "wrong"),
    ):
        trace = workspace.chain.trace(question)
        workspace.journal.remember(trace)
        workspace.journal.judge(trace.answer.id, verdict)
    rows = candidates(workspace.journal)
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
    workspace: Workspace, four: list[Article], tmp_path: Path
) -> None:
    take_in(workspace, four)
    path = tmp_path / "h.jsonl"
    for question, added in ((QUESTION, 1), (QUESTION, 0), ("lander Moon?", 1)):
        trace = workspace.chain.trace(question)
        workspace.journal.remember(trace)
        workspace.journal.judge(trace.answer.id, "wrong")
        assert add_candidates(workspace.journal, path) == added
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
    workspace: Workspace, tmp_path: Path, name: str, content: str | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(EvaluationError, match=reason):
        add_candidates(workspace.journal, tmp_path / name)
    assert content is None or (tmp_path / name).read_text() == content
