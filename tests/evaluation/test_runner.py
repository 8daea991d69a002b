"""Runs: every answer on disk as it comes, resumed after anything, and nothing left out."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest
from conftest import take_in

from bot.articles.article import Article
from bot.errors import EvaluationError, QuestionError
from bot.evaluation.dataset import TestSet
from bot.evaluation.models import Case, Outcome, Summary
from bot.evaluation.run_log import RunFile, is_complete, read_run
from bot.evaluation.runner import ask_chain, run_cases, run_metadata
from bot.services import Services

CASES = tuple(Case(id=f"q{n}", question=f"Question {n}?") for n in range(6))
HEADER = {"format": 1, "questions": 6, "settings": {"model": "m"}, "started": "then"}


def fill(path: Path, cases: tuple[Case, ...] = CASES) -> None:
    file = RunFile(path, HEADER)
    for case in cases:
        file.add(Outcome(case, milliseconds=1.5))
    file.close()


def test_what_was_written_is_read_back(workspace: Services, four: list[Article], tmp_path: Path) -> None:
    take_in(workspace, four)
    case = Case(
        id="é",
        question="Has Argentina won the final against France on penalties?",
        articles=("cup", "lost"),
        extra={"x": [1]},
    )
    outcome = ask_chain(workspace, case, retrieval_only=False)
    assert outcome.answer is not None
    assert outcome.answer.status == "answered"
    assert outcome.gold == ("cup",)
    assert outcome.passages[0].article_id == "cup"
    assert outcome.quotes_valid
    assert all(outcome.quotes_valid)
    assert all(outcome.supported)
    file = RunFile(tmp_path / "r.jsonl", HEADER)
    file.add(outcome)
    file.close()
    assert read_run(tmp_path / "r.jsonl").outcomes == (outcome,)


def test_retrieval_only_gives_passages_and_no_answer(workspace: Services, four: list[Article]) -> None:
    take_in(workspace, four)
    outcome = ask_chain(
        workspace,
        Case(id="1", question="And the lander?", history=("What is on the Moon?",)),
        retrieval_only=True,
    )
    assert outcome.answer is None
    assert outcome.passages[0].article_id == "moon"


def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    fill(path, CASES[:2])
    path.write_bytes(path.read_bytes() + b'{"kind":"outcome","case":{"id":"q2","ques')  # a kill in mid-line
    assert not is_complete(path)
    file = RunFile(path, HEADER | {"started": "now"})
    assert set(file.done) == {"q0", "q1"}
    for case in reversed(CASES[2:]):
        file.add(Outcome(case))
    assert [outcome.case.id for outcome in file.as_run(CASES).outcomes] == [case.id for case in CASES]
    assert file.header["started"] == "then"
    file.close()
    assert is_complete(path)
    assert path.read_text().count('"kind":"header"') == 1


def test_a_run_never_goes_on_as_another(tmp_path: Path) -> None:
    fill(tmp_path / "r.jsonl", CASES[:1])
    with pytest.raises(EvaluationError, match=r"begun with settings\.model = 'm', now it is 'other'"):
        RunFile(tmp_path / "r.jsonl", HEADER | {"settings": {"model": "other"}})
    with pytest.raises(
        EvaluationError, match=r"with questions = 6, now it is 7; with settings\.model = 'm', now"
    ):
        RunFile(tmp_path / "r.jsonl", HEADER | {"settings": {}, "questions": 7})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "empty, no run"),
        ("not json\n", "1: not valid JSON"),
        ('{"question": "a test set"}\n', "1: not a run"),
        ('{"kind": "header", "format": 99}\n', "1: not a run"),
        ('{"kind": "header", "format": 1}\n{"kind": "outcome"}\n', "2: not an outcome"),
        ('{"kind": "header", "format": 1}\n[]\n', "2: expected an object"),
    ],
)
def test_what_is_no_run_is_refused(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "r.jsonl").write_text(content)
    with pytest.raises(EvaluationError, match=words):
        read_run(tmp_path / "r.jsonl")


@pytest.mark.parametrize(
    "content", ["notes\nwithout an end", "notes", '{"question": "?"}\n{"quest', '{"kind":"head"}']
)
def test_a_file_of_somebody_else_s_is_left_as_it_is(tmp_path: Path, content: str) -> None:
    (tmp_path / "r.jsonl").write_text(content)
    with pytest.raises(EvaluationError, match=r"r\.jsonl"):
        RunFile(tmp_path / "r.jsonl", HEADER)
    assert (tmp_path / "r.jsonl").read_text() == content


@pytest.mark.parametrize("content", ["", "{", '{"kind":"header","form'])
def test_a_run_that_was_killed_at_its_first_line_begins_again(tmp_path: Path, content: str) -> None:
    (tmp_path / "r.jsonl").write_text(content)
    RunFile(tmp_path / "r.jsonl", HEADER).close()
    assert read_run(tmp_path / "r.jsonl").header == HEADER


def test_a_summary_is_written_once(tmp_path: Path) -> None:
    for _ in range(2):
        file = RunFile(tmp_path / "r.jsonl", HEADER)
        file.finish(Summary({}, {}, {}))
        file.close()
    assert (tmp_path / "r.jsonl").read_text().count('"kind":"summary"') == 1


def test_a_failed_question_is_an_outcome_and_the_rest_goes_on() -> None:
    def ask(case: Case) -> Outcome:
        if case.id == "q1":
            raise QuestionError("the question is empty")
        if case.id == "q2":
            raise ZeroDivisionError
        return Outcome(case)

    outcomes: list[Outcome] = []
    run_cases(CASES, ask, workers=3, on_result=outcomes.append)
    errors = {outcome.case.id: outcome.error for outcome in outcomes}
    assert len(errors) == 6
    assert errors["q1"] == "the question is empty"
    assert (errors["q2"] or "").startswith("ZeroDivisionError")
    assert [key for key, error in errors.items() if error is None].__len__() == 4


def test_a_question_that_hangs_is_left_behind() -> None:
    forever = threading.Event()

    def ask(case: Case) -> Outcome:
        if case.id == "q0":
            forever.wait(60)
        return Outcome(case)

    outcomes: list[Outcome] = []
    begun = time.monotonic()
    run_cases(CASES, ask, workers=1, on_result=outcomes.append, timeout=0.2)
    forever.set()
    assert time.monotonic() - begun < 30
    assert {outcome.case.id: outcome.error for outcome in outcomes}["q0"] == "no answer within 0.2 s"
    assert len(outcomes) == 6


def test_an_interrupted_run_does_not_wait_for_a_question_that_hangs() -> None:
    forever = threading.Event()

    def ask(case: Case) -> Outcome:
        if case.id == "q0":
            forever.wait(60)
        return Outcome(case)

    def interrupt(outcome: Outcome) -> None:
        raise KeyboardInterrupt

    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_cases(CASES, ask, workers=2, on_result=interrupt)
    forever.set()
    assert time.monotonic() - begun < 30


def test_workers_work_side_by_side() -> None:
    together = threading.Barrier(3, timeout=30)

    def ask(case: Case) -> Outcome:
        together.wait()  # passed only when three are here at once
        return Outcome(case)

    outcomes: list[Outcome] = []
    run_cases(CASES, ask, workers=3, on_result=outcomes.append)
    assert [outcome.error for outcome in outcomes] == [None] * 6


def test_the_header_says_what_ran_and_keeps_secrets(
    workspace: Services, four: list[Article], tmp_path: Path
) -> None:
    take_in(workspace, four)
    testset = TestSet(tmp_path / "t.jsonl", "abc", CASES, ())
    header = run_metadata(workspace, testset, CASES, {"limit": None})
    assert header["questions"] == 6
    assert header["testset"] == {"name": "t.jsonl", "sha256": "abc"}
    assert header["index"]["articles"] == 4
    assert str(tmp_path) not in json.dumps(header)
    take_in(workspace, [*four[:3]])
    assert run_metadata(workspace, testset, CASES, {})["index"] == header["index"]
    with workspace.index_writer() as indexer:
        indexer.publish(retired=["moon"])
    assert run_metadata(workspace, testset, CASES, {})["index"]["content"] != header["index"]["content"]
